/** What plans need to know of a device. */
import type { KernelChoice } from './kernels.ts';
import type { Problem } from './problem.ts';
import type { Plan } from './types.ts';

/** What a plan may count on. */
export interface Capabilities {
  readonly device: Plan['device'];
  /** Why this device, for the plan's reason. */
  readonly because: string;
  readonly limits: Limits;
  readonly shaderF16: boolean;
  /** A GPU emulated on the CPU, of a kind whose sampler is exact: it gains from registers, and nothing from workgroup memory. */
  readonly software: boolean;
  /** Kernels that computed wrong numbers on this adapter. Others may be added at any time. */
  readonly setAside?: ReadonlySet<string>;
  /** Chooses the kernel in place of the rules: for tests and measurements. */
  readonly choose?: (problem: Problem) => KernelChoice;
}

export interface Limits {
  readonly maxBufferSize: number;
  readonly maxStorageBufferBindingSize: number;
  readonly minStorageBufferOffsetAlignment: number;
  readonly maxComputeWorkgroupsPerDimension: number;
}
