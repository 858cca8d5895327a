/** Which kernel computes a problem, and in how many workgroups. */
import { ConvTranspose2dError } from './errors.ts';
import { roundUp, type Axis } from './geometry.ts';
import type { Capabilities } from './capabilities.ts';
import type { Problem } from './problem.ts';

/** The GPU's kernels: each is a shader of that name. */
export type KernelName =
  'direct' | 'phase-registers' | 'phase-registers-quick' | 'all-phases-registers' | 'phase-gemm' | 'phase-gemm-small';

/** Of the CPU path. */
export type CpuKernelName = 'wasm-relaxed-simd' | 'wasm-simd' | 'plain';

export interface KernelChoice {
  readonly kernel: KernelName | CpuKernelName;
  readonly reason: string;
  /** The kernel's overrides beyond those that every kernel has. */
  readonly constants: Readonly<Record<string, number>>;
  /** In one line; the plan folds them into a grid. */
  readonly workgroups: number;
  /** Of a kernel that reads texels: how many its input takes. */
  readonly texels?: number;
  /** A smaller tile, which computes the same sums in the same order from the same bindings and compiles sooner. */
  readonly quick?: Pick<KernelChoice, 'kernel' | 'constants' | 'workgroups'>;
}

/** Chooses by shape, layout and the kind of adapter. */
export function chooseKernel(problem: Problem, capabilities: Capabilities): KernelChoice {
  const choice = firstChoice(problem, capabilities);
  const { setAside } = capabilities;
  if (setAside?.has(choice.kernel) !== true) return choice;
  const reason = `${choice.kernel} computed wrong numbers here and is set aside`;
  const others = cutsFours(problem) ? [] : [phaseGemm(problem, SMALL), direct(problem, reason)];
  const other = others.find(({ kernel }) => !setAside.has(kernel));
  if (other === undefined) throw new ConvTranspose2dError('GPU_ERROR', `${reason}, and so are the others`);
  return { ...other, reason };
}

/** Whether a cut begins or ends inside a vec4 of output channels or four input channels, which the other kernels read as a whole. */
function cutsFours({ inChannels, finishes, weight: { base, channel } }: Problem): boolean {
  return base % 4 !== 0 || Math.floor(base / channel) % 4 !== 0 || (!finishes && inChannels % 4 !== 0);
}

function firstChoice(problem: Problem, capabilities: Capabilities): KernelChoice {
  if (cutsFours(problem)) return direct(problem, 'a few channels, cut off by the limits');
  if (capabilities.choose !== undefined) return capabilities.choose(problem);
  if (capabilities.device === 'cpu') return { kernel: 'plain', reason: 'the CPU path', constants: {}, workgroups: 1 };
  return capabilities.software ? softwareKernel(problem) : hardwareKernel(problem);
}

/** What an invocation of a kernel in registers computes: positions × vec4s of columns. */
export interface RegisterTile {
  readonly positions: 1 | 4 | 8 | 12 | 16;
  readonly vectors: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;
  /** That many neighbouring invocations share a block of positions: each takes every `lanes`-th one. */
  readonly lanes: number;
  /** Invocations in a workgroup; 8 unless told, as few as keep an emulated GPU's threads busy. */
  readonly workgroup?: number;
}
/** All phases at once: at most 8 × 4. */
type AllPhasesTile = RegisterTile & { readonly positions: 1 | 4 | 8; readonly vectors: 1 | 2 | 3 | 4 };

function tilesOf<P, V>(positions: readonly P[], vectors: readonly V[]): { positions: P; vectors: V; lanes: number }[] {
  return positions.flatMap((p) =>
    // Taps are chosen for a block as a whole: one of a single position visits fewer than one of four lanes would.
    vectors.flatMap((v) => (p === 1 ? [1] : [4, 1]).map((lanes) => ({ positions: p, vectors: v, lanes }))),
  );
}
const PHASE_TILES: readonly RegisterTile[] = /* @__PURE__ */ tilesOf(
  [16, 12, 8, 4, 1] as const,
  [8, 6, 4, 3, 2, 1] as const,
);
const ALL_PHASES_TILES: readonly AllPhasesTile[] = /* @__PURE__ */ tilesOf([8, 4, 1] as const, [4, 3, 2, 1] as const);

/** What things cost on an emulated GPU. The unit is a multiplication of the kernel that reads buffers; see bench/NOTES.md, Model. */
interface Costs {
  /** A load: of a texel, or of an element of a buffer. */
  readonly load: number;
  readonly multiply: number;
  /** An invocation's start. */
  readonly start: number;
  /** Storing one output. */
  readonly store: number;
}
const OF_TEXELS: Costs = { load: 14, multiply: 0.6, start: 1200, store: 20 };
const OF_ELEMENTS: Costs = { load: 4, multiply: 1, start: 1000, store: 30 };
/** Writing a texel of the input. */
const WRITE_TEXEL = 35;
/** Workgroups that keep every core of a CPU busy. */
const SOME_WORKGROUPS = 8;
/** What fits a texture of every device, 4096 in a line. */
const MOST_TEXELS = 2 ** 24;

/** The cost of compiling, in the same unit: a shader that is written for all tiles, one for a single tile, and each sum of the tile. */
const COMPILE = { all: 200e6, one: 100e6, sum: 2e6 };
const QUICK_TILE = { positions: 4, vectors: 2, lanes: 1 } as const;

type Costed = KernelChoice & {
  readonly cost: number;
  /** Of compiling it. Infinite beyond four positions: every further four are the same code once more. */
  readonly compile: number;
};

/**
 * The kernel and tile that cost least, by a count of loads, multiplications and stores; unused parts of tiles count too. With it,
 * as `quick`, the tile of that kernel which costs least if compiling counts as well.
 */
function softwareKernel(problem: Problem): KernelChoice {
  const possible = [
    ...PHASE_TILES.map((tile) => phaseRegisters(problem, tile)),
    ...ALL_PHASES_TILES.map((tile) => allPhasesRegisters(problem, tile)),
    phaseRegistersQuick(problem),
  ].filter((choice) => choice !== undefined);
  const best = least(possible, ({ cost }) => cost);
  if (best === undefined) return direct(problem, TOO_LARGE);
  const tiles = possible.filter(({ kernel }) => kernel.replace('-quick', '') === best.kernel);
  const quick = least(tiles, ({ cost, compile }) => cost + compile);
  return quick === undefined || quick === best ? best : { ...best, quick };
}

function least<T>(all: readonly T[], cost: (one: T) => number): T | undefined {
  const costs = all.map(cost);
  return all[costs.indexOf(Math.min(...costs))];
}
const TOO_LARGE = 'more than a texture, or a count of 32 bits, holds';

/** A phase at a time: positions × output channels in registers, by texels. Undefined where a texture holds too few. */
export function phaseRegisters(
  problem: Problem,
  tile: RegisterTile,
  across = (width: number): number => width,
): Costed | undefined {
  const { batch, groups, inChannels, outChannels, rows, columns } = problem;
  const phases = rows.residues.length * columns.residues.length;
  const taps = ({ residues }: Axis): number => residues.reduce((sum, residue) => sum + residue.taps, 0);
  const quads = Math.ceil(inChannels / 4);
  const texels = batch * groups * quads * rows.input * columns.input + 1;
  if (Math.max(texels, problem.weight.elements / 4) > MOST_TEXELS) return undefined;
  const choice = registers(problem, tile, {
    kernel: 'phase-registers',
    what: 'output channels of a phase',
    positions: rows.residues[0]!.positions * across(columns.residues[0]!.positions),
    columns: outChannels,
    phases,
    rounds: ((taps(rows) * taps(columns)) / phases) * quads,
    depth: 4,
    costs: OF_TEXELS,
  });
  return choice && { ...choice, texels, cost: choice.cost + WRITE_TEXEL * texels };
}

/** The same by a shader of little code, for one tile, whose positions are neighbours in a row. */
export function phaseRegistersQuick(problem: Problem): Costed | undefined {
  const { positions } = QUICK_TILE;
  const choice = phaseRegisters(problem, QUICK_TILE, (width) => positions * Math.ceil(width / positions));
  return (
    choice && {
      ...choice,
      kernel: 'phase-registers-quick',
      constants: { WORKGROUP_SIZE: choice.constants['WORKGROUP_SIZE']! },
      compile: choice.compile - COMPILE.all + COMPILE.one,
    }
  );
}

/** All phases at once: positions × pairs of phase and output channel in registers. Undefined where phases share no inputs. */
export function allPhasesRegisters(problem: Problem, tile: AllPhasesTile): Costed | undefined {
  const { inChannels, outChannels, rows, columns } = problem;
  const [height, width] = [sharedPositions(rows), sharedPositions(columns)];
  if (height === undefined || width === undefined) return undefined;
  return registers(problem, tile, {
    kernel: 'all-phases-registers',
    what: 'output channels and phases',
    positions: height * width,
    columns: rows.residues.length * columns.residues.length * outChannels,
    phases: 1,
    rounds: rows.residues[0]!.taps * columns.residues[0]!.taps * inChannels,
    depth: 1,
    costs: OF_ELEMENTS,
  });
}

interface RegisterWork {
  readonly kernel: 'phase-registers' | 'all-phases-registers';
  readonly what: string;
  readonly positions: number;
  readonly columns: number;
  readonly phases: number;
  /** Rounds of the innermost loop, on average over the phases; and input channels of one round. */
  readonly rounds: number;
  readonly depth: 1 | 4;
  readonly costs: Costs;
}

function registers({ batch, groups }: Problem, tile: RegisterTile, work: RegisterWork): Costed | undefined {
  const { positions, vectors, lanes, workgroup = 8 } = tile;
  const { load, multiply, start, store } = work.costs;
  const blocks = Math.ceil(work.positions / (lanes * positions)) * Math.ceil(work.columns / (4 * vectors));
  const invocations = lanes * blocks * work.phases * groups * batch;
  // The shaders count invocations in 32 bits, including the few of the grid that are beyond the last one.
  if (invocations > 2 ** 31) return undefined;
  const workgroups = Math.ceil(invocations / workgroup);
  const sums = positions * 4 * vectors;
  // A load gives four values: input channels of one position, or columns of one input channel.
  const round = load * (positions + 4 * vectors) + multiply * work.depth * sums;
  const each = start + store * sums + round * work.rounds;
  return {
    kernel: work.kernel,
    reason: `in registers, ${positions} positions × ${4 * vectors} ${work.what} an invocation`,
    constants: { WORKGROUP_SIZE: workgroup, LANES: lanes, POSITIONS: positions, VECTORS: vectors },
    workgroups,
    compile: positions > 4 ? Infinity : COMPILE.all + COMPILE.sum * sums,
    cost: workgroup * Math.max(workgroups, SOME_WORKGROUPS) * each,
  };
}

/**
 * Positions u = m + i₀ along an axis that together serve every residue, where all residues have the same taps and i₀ rises by
 * at most 1 from the first residue to the last.
 */
function sharedPositions({ output, stride, residues }: Axis): number | undefined {
  const [first, last] = [residues[0]!, residues[(output - 1) % stride]!];
  const shared = residues.every(
    ({ taps, firstInput }, r) =>
      taps === first.taps &&
      firstInput >= residues[Math.max(0, r - 1)]!.firstInput &&
      firstInput <= first.firstInput + 1,
  );
  return shared ? Math.floor((output - 1) / stride) + last.firstInput - first.firstInput + 1 : undefined;
}

/** Workgroups that keep a large GPU busy. With fewer, a smaller tile spreads the work further. */
const MANY_WORKGROUPS = 256;

function hardwareKernel(problem: Problem): KernelChoice {
  const { outChannels, rows, columns } = problem;
  if (outChannels < 8) {
    // Too few columns for a tile of a matrix product. The invocations of a workgroup take neighbouring positions, and share weights.
    const vectors = (channels: number): AllPhasesTile['vectors'] =>
      Math.min(4, Math.ceil(channels / 4)) as AllPhasesTile['vectors'];
    const tile = { positions: 4, lanes: 64, workgroup: 64 } as const;
    const phases = rows.residues.length * columns.residues.length;
    const all = allPhasesRegisters(problem, { ...tile, vectors: vectors(outChannels * phases) });
    if (all !== undefined) return all;
    const narrow = phaseRegisters(problem, { ...tile, vectors: vectors(outChannels) });
    // Samplers of real GPUs may round coordinates, and loading a texel costs no more there.
    return narrow ? { ...narrow, constants: { ...narrow.constants, SAMPLED: 0 } } : direct(problem, TOO_LARGE);
  }
  return least(
    TILES.map((tile) => phaseGemm(problem, tile)),
    ({ cost }) => cost,
  )!;
}

/** What a workgroup of a tiled kernel computes, and what each of its invocations does of it. */
export interface Tile {
  readonly kernel: 'phase-gemm' | 'phase-gemm-small';
  readonly positions: number;
  readonly channels: number;
  /** Input channels at a time, at most. */
  readonly depth: number;
  /** Outputs of one invocation: 8 × 8 or 4 × 4. */
  readonly each: 64 | 16;
  /** What an input channel takes an invocation, loads included: counted in what Mesa's compiler makes for RDNA 3. */
  readonly instructions: number;
}
const SMALL: Tile = { kernel: 'phase-gemm-small', positions: 32, channels: 32, depth: 16, each: 16, instructions: 26 };
const TILES: readonly Tile[] = [
  { kernel: 'phase-gemm', positions: 64, channels: 64, depth: 16, each: 64, instructions: 87 },
  { kernel: 'phase-gemm', positions: 128, channels: 32, depth: 16, each: 64, instructions: 90 },
  { kernel: 'phase-gemm-small', positions: 64, channels: 16, depth: 16, each: 16, instructions: 28 },
  SMALL,
];

/** A matrix product for each phase, tile by tile through workgroup memory, in one dispatch. */
export function phaseGemm(problem: Problem, tile: Tile): KernelChoice & { readonly cost: number } {
  const { kernel, positions: POSITIONS, channels: CHANNELS, depth, each, instructions } = tile;
  const { batch, groups, inChannels, outChannels, rows, columns } = problem;
  const positions = batch * rows.residues[0]!.positions * columns.residues[0]!.positions;
  const tiles = Math.ceil(positions / POSITIONS) * Math.ceil(outChannels / CHANNELS);
  const workgroups = tiles * groups * rows.residues.length * columns.residues.length;
  const INVOCATIONS = (POSITIONS * CHANNELS) / each;
  // No deeper than there are channels, since the rest would be loaded for nothing; in whole rounds of the shader's loading.
  const DEPTH = Math.min(depth, roundUp(inChannels, (4 * Math.max(POSITIONS, CHANNELS)) / each));
  return {
    kernel,
    reason: `a matrix product a phase, in tiles of ${POSITIONS} positions × ${CHANNELS} channels`,
    constants: { POSITIONS, CHANNELS, DEPTH, INVOCATIONS },
    workgroups,
    cost: Math.max(workgroups, MANY_WORKGROUPS) * INVOCATIONS * instructions,
  };
}

const DIRECT_WORKGROUP = 64;

/** One invocation an output: the plainest kernel, for what the others cannot compute. */
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
