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

const DIRECT_WORKGROUP = 64;

export function chooseKernel(problem: Problem, _layout: Layout, capabilities: Capabilities): KernelChoice {
  const outputs = problem.batch * problem.groups * problem.outChannels * problem.rows.output * problem.columns.output;
  if (capabilities.device === 'cpu') {
    return { kernel: 'plain', reason: 'the CPU path', constants: {}, workgroups: 1 };
  }
  return {
    kernel: 'direct',
    reason: 'one invocation an output: serves every shape',
    constants: { WORKGROUP_SIZE: DIRECT_WORKGROUP },
    workgroups: Math.ceil(outputs / DIRECT_WORKGROUP),
  };
}
