/** Which kernel computes a problem, and in how many workgroups. */
import type { Capabilities, Problem } from './plan.ts';
import type { Layout } from './types.ts';

/** Of the GPU's kernels, each a shader of that name. */
export type KernelName = 'direct';

export interface KernelChoice {
  readonly kernel: KernelName | 'plain';
  readonly reason: string;
  /** The kernel's overrides beyond those that every kernel has. */
  readonly constants: Readonly<Record<string, number>>;
  /** In a line; the plan folds them into a grid. */
  readonly workgroups: number;
}

/** Chooses by shape, layout and the kind of adapter. */
export function chooseKernel(problem: Problem, layout: Layout, capabilities: Capabilities): KernelChoice {
  if (capabilities.device === 'cpu') return { kernel: 'plain', reason: 'the CPU path', constants: {}, workgroups: 1 };
  return capabilities.software ? softwareKernel(problem, layout) : hardwareKernel(problem, layout, capabilities);
}

function softwareKernel(problem: Problem, _layout: Layout): KernelChoice {
  return direct(problem, 'one invocation an output: serves every shape');
}

function hardwareKernel(problem: Problem, _layout: Layout, _capabilities: Capabilities): KernelChoice {
  return direct(problem, 'one invocation an output: serves every shape');
}

const DIRECT_WORKGROUP = 64;

/** One invocation an output. Every other kernel is held against it. */
export function direct(problem: Problem, reason: string): KernelChoice {
  const outputs = problem.batch * problem.groups * problem.outChannels * problem.rows.output * problem.columns.output;
  return {
    kernel: 'direct',
    reason,
    constants: { WORKGROUP_SIZE: DIRECT_WORKGROUP },
    workgroups: Math.ceil(outputs / DIRECT_WORKGROUP),
  };
}
