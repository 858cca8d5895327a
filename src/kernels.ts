/** Which kernel computes a problem, and in how many workgroups. */
import { ConvTranspose2dError } from './errors.ts';
import type { Axis } from './geometry.ts';
import type { Capabilities, Problem } from './plan.ts';

/** Of the GPU's kernels, each a shader of that name. */
export type KernelName = 'direct' | 'phase-registers' | 'all-phases-registers' | 'phase-gemm' | 'phase-gemm-small';

/** Of the CPU path. */
export type CpuKernelName = 'wasm-relaxed-simd' | 'wasm-simd' | 'plain';

export interface KernelChoice {
  readonly kernel: KernelName | CpuKernelName;
  readonly reason: string;
  /** The kernel's overrides beyond those that every kernel has. */
  readonly constants: Readonly<Record<string, number>>;
  /** In a line; the plan folds them into a grid. */
  readonly workgroups: number;
  /** Of the kernels in registers: what their inputs and their weights take as texels. */
  readonly texels?: Texels;
}

export interface Texels {
  readonly input: number;
  readonly weight: number;
}

/** Chooses by shape, layout and the kind of adapter. */
export function chooseKernel(problem: Problem, capabilities: Capabilities): KernelChoice {
  const choice = firstChoice(problem, capabilities);
  const { setAside } = capabilities;
  if (setAside?.has(choice.kernel) !== true) return choice;
  const reason = `${choice.kernel} computed wrong numbers here and is set aside`;
  const others = problem.weight.base % 4 === 0 ? [phaseGemm(problem, SMALL), direct(problem, reason)] : [];
  const other = others.find(({ kernel }) => !setAside.has(kernel));
  if (other === undefined) throw new ConvTranspose2dError('GPU_ERROR', `${reason}, and so are the others`);
  return { ...other, reason };
}

function firstChoice(problem: Problem, capabilities: Capabilities): KernelChoice {
  // The others read weights as vec4s, and a cut may begin inside one.
  if (problem.weight.base % 4 !== 0) return direct(problem, 'a few output channels, cut off by the limits');
  if (capabilities.choose !== undefined) return capabilities.choose(problem);
  if (capabilities.device === 'cpu') return { kernel: 'plain', reason: 'the CPU path', constants: {}, workgroups: 1 };
  return capabilities.software ? softwareKernel(problem) : hardwareKernel(problem);
}

/** What an invocation of the kernels in registers computes: positions × vec4s of columns. */
export interface RegisterTile {
  readonly positions: 1 | 4 | 8 | 12 | 16;
  readonly vectors: 1 | 2 | 3 | 4 | 5 | 6 | 7 | 8;
  /** Neighbouring invocations take turns at that many runs of positions. */
  readonly lanes: number;
  /** Invocations in a workgroup; 8 unless told, as few as keep an emulated GPU's threads busy. */
  readonly workgroup?: number;
}
const REGISTER_TILES: readonly RegisterTile[] = ([16, 12, 8, 4, 1] as const).flatMap((positions) =>
  ([8, 6, 4, 3, 2, 1] as const).flatMap((vectors) => [4, 1].map((lanes) => ({ positions, vectors, lanes }))),
);
/** Of an emulated GPU, in multiplications: a texel from anywhere; an invocation's start; storing one output. */
const LOAD = 24;
const START = 2000;
const STORE = 30;
/** Workgroups that keep every core of a CPU busy. */
const SOME_WORKGROUPS = 16;
/** What fits a texture of every device, 4096 in a line. */
const MOST_TEXELS = 2 ** 24;

type Costed = KernelChoice & { readonly cost: number; readonly texels: Texels };

/** The kernel and tile that cost least, by a count of loads, multiplications and stores; unused parts of tiles count too. */
function softwareKernel(problem: Problem): KernelChoice {
  const choices = REGISTER_TILES.flatMap((tile) => [phaseRegisters(problem, tile), allPhasesRegisters(problem, tile)]);
  return cheapest(choices) ?? direct(problem, 'more than a texture holds');
}

/** Of those that are possible. */
function cheapest(choices: readonly (Costed | undefined)[]): Costed | undefined {
  const possible = choices.filter((choice) => choice !== undefined && fits(choice));
  return possible.reduce((best, choice) => (choice!.cost < best!.cost ? choice : best), possible[0]);
}

const fits = ({ texels }: Costed): boolean => Math.max(texels.input, texels.weight) <= MOST_TEXELS;

/** A phase at a time: positions × output channels in registers. */
export function phaseRegisters(problem: Problem, tile: RegisterTile): Costed {
  const { rows, columns, outChannels } = problem;
  const phases = rows.residues.length * columns.residues.length;
  const taps = ({ residues }: Axis): number => residues.reduce((sum, residue) => sum + residue.taps, 0);
  return registers(problem, tile, {
    kernel: 'phase-registers',
    what: 'output channels of a phase',
    positions: rows.residues[0]!.positions * columns.residues[0]!.positions,
    columns: outChannels,
    phases,
    taps: (taps(rows) * taps(columns)) / phases,
    weightTaps: rows.kernel * columns.kernel,
  });
}

/** All phases at once: positions × pairs of phase and output channel in registers. Undefined where phases share no inputs. */
export function allPhasesRegisters(problem: Problem, tile: RegisterTile): Costed | undefined {
  const { rows, columns, outChannels } = problem;
  const [height, width] = [sharedPositions(rows), sharedPositions(columns)];
  if (height === undefined || width === undefined) return undefined;
  return registers(problem, tile, {
    kernel: 'all-phases-registers',
    what: 'output channels and phases',
    positions: height * width,
    columns: rows.residues.length * columns.residues.length * outChannels,
    phases: 1,
    taps: rows.residues[0]!.taps * columns.residues[0]!.taps,
    weightTaps: rows.residues[0]!.taps * columns.residues[0]!.taps,
  });
}

interface RegisterWork {
  readonly kernel: 'phase-registers' | 'all-phases-registers';
  readonly what: string;
  readonly positions: number;
  readonly columns: number;
  readonly phases: number;
  /** Of a phase, on average. */
  readonly taps: number;
  /** For which weights are laid out. */
  readonly weightTaps: number;
}

function registers(problem: Problem, tile: RegisterTile, work: RegisterWork): Costed {
  const { batch, groups, inChannels } = problem;
  const { positions, vectors, lanes, workgroup = 8 } = tile;
  const blocks = Math.ceil(work.positions / (lanes * positions)) * Math.ceil(work.columns / (4 * vectors));
  const invocations = lanes * blocks * work.phases * groups * batch;
  const workgroups = Math.ceil(invocations / workgroup);
  // Four input channels a round.
  const quads = Math.ceil(inChannels / 4);
  const round = LOAD * (positions + 4 * vectors) + 16 * positions * vectors;
  const each = START + STORE * positions * 4 * vectors + round * work.taps * quads;
  return {
    kernel: work.kernel,
    reason: `in registers, ${positions} positions × ${4 * vectors} ${work.what} an invocation`,
    constants: {
      WORKGROUP_SIZE: workgroup,
      LANES: lanes,
      POSITIONS: positions,
      VECTORS: vectors,
      ALL_PHASES: Number(work.kernel === 'all-phases-registers'),
    },
    workgroups,
    texels: {
      input: batch * groups * quads * problem.rows.input * problem.columns.input + 1,
      weight: Math.max(1, groups * work.weightTaps * 4 * quads * Math.ceil(work.columns / 4)),
    },
    cost: Math.max(workgroups, SOME_WORKGROUPS) * each,
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

/** Workgroups that keep a large GPU busy: below, smaller tiles spread the work further. */
const MANY_WORKGROUPS = 256;

function hardwareKernel(problem: Problem): KernelChoice {
  const { outChannels, rows, columns } = problem;
  if (outChannels < 8) {
    // Too few columns for a tile of a matrix product. Neighbouring invocations take neighbouring positions.
    const vectors = (channels: number): RegisterTile['vectors'] =>
      channels > 12 ? 4 : channels > 8 ? 3 : channels > 4 ? 2 : 1;
    const tile = { positions: 4, lanes: 32, workgroup: 64 } as const;
    const phases = rows.residues.length * columns.residues.length;
    const all = allPhasesRegisters(problem, { ...tile, vectors: vectors(outChannels * phases) });
    const narrow = all ?? phaseRegisters(problem, { ...tile, vectors: vectors(outChannels) });
    return fits(narrow) ? narrow : direct(problem, 'more than a texture holds');
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
