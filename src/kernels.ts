/** Which kernel computes a problem, and in how many workgroups. */
import type { Capabilities, Problem } from './plan.ts';
import type { Layout } from './types.ts';

/** Of the GPU's kernels, each a shader of that name. */
export type KernelName = 'direct' | 'phase-gemm' | 'phase-gemm-small';

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
  // The others read weights as vec4s, and a cut may begin inside one.
  if (problem.weight.base % 4 !== 0) return direct(problem, 'a few output channels, cut off by the limits');
  if (capabilities.choose !== undefined) return capabilities.choose(problem);
  if (capabilities.device === 'cpu') return { kernel: 'plain', reason: 'the CPU path', constants: {}, workgroups: 1 };
  return capabilities.software ? softwareKernel(problem, layout) : hardwareKernel(problem);
}

function softwareKernel(problem: Problem, _layout: Layout): KernelChoice {
  return direct(problem, 'one invocation an output: serves every shape');
}

/** Workgroups that keep a large GPU busy: below, smaller tiles spread the work further. */
const MANY_WORKGROUPS = 256;

function hardwareKernel(problem: Problem): KernelChoice {
  const { inChannels, outChannels } = problem;
  if (outChannels < 8 || inChannels < 4) {
    return direct(problem, `${inChannels} to ${outChannels} channels a group are too few for a matrix product`);
  }
  const wide = phaseGemm(problem, WIDE);
  return wide.workgroups >= MANY_WORKGROUPS && outChannels >= 32 ? wide : phaseGemm(problem, SMALL);
}

/** What a workgroup of a tiled kernel computes, and what each of its invocations does of it. */
export interface Tile {
  readonly kernel: 'phase-gemm' | 'phase-gemm-small';
  readonly positions: number;
  readonly channels: number;
  readonly depth: number;
  /** Outputs of one invocation: 8 × 8 or 4 × 4. */
  readonly each: 64 | 16;
}
const WIDE: Tile = { kernel: 'phase-gemm', positions: 64, channels: 64, depth: 16, each: 64 };
const SMALL: Tile = { kernel: 'phase-gemm-small', positions: 32, channels: 32, depth: 16, each: 16 };

/** A matrix product for each phase, tile by tile through workgroup memory, in one dispatch. */
export function phaseGemm(problem: Problem, tile: Tile): KernelChoice {
  const { batch, groups, outChannels, rows, columns } = problem;
  const positions = batch * (rows.residues[0]?.positions ?? 0) * (columns.residues[0]?.positions ?? 0);
  const tiles = Math.ceil(positions / tile.positions) * Math.ceil(outChannels / tile.channels);
  const { positions: TILE_POSITIONS, channels: TILE_CHANNELS, depth: TILE_DEPTH, each } = tile;
  return {
    kernel: tile.kernel,
    reason: `a matrix product a phase, in tiles of ${TILE_POSITIONS} positions × ${TILE_CHANNELS} channels`,
    constants: { TILE_POSITIONS, TILE_CHANNELS, TILE_DEPTH, INVOCATIONS: (TILE_POSITIONS * TILE_CHANNELS) / each },
    workgroups: tiles * groups * rows.residues.length * columns.residues.length,
  };
}

const DIRECT_WORKGROUP = 64;

/** One invocation an output. Every other kernel is held against it. */
export function direct(problem: Problem, reason: string): KernelChoice {
  const outputs = problem.batch * problem.groups * problem.outChannels * problem.rows.output * problem.columns.output;
  return {
    kernel: 'direct',
    reason,
    // Neighbouring invocations write neighbouring words.
    constants: { WORKGROUP_SIZE: DIRECT_WORKGROUP, CHANNELS_LAST: Number(problem.output.channel === 1) },
    workgroups: Math.ceil(outputs / DIRECT_WORKGROUP),
  };
}
