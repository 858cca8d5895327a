/**
 * How a call runs on WebAssembly: pure, and plain data, so that it can be sent to a worker.
 *
 * The outputs are cut into tiles of positions m (see geometry.ts), small enough for the part of the input that a tile reads, the
 * strip, to stay in a core's second-level cache. A job is one tile of one image and group, or of several groups whose channels
 * lie together, for some of its output channels; jobs are independent, and any number of threads may share them.
 */
import type { Addresses } from '../addresses.ts';
import type { Problem } from '../problem.ts';
import type { Activation } from '../types.ts';
import {
  bandsOf,
  isFar,
  placeIn,
  columnsOf,
  FAR,
  innerReach,
  isReal,
  largest,
  least,
  most,
  outerReach,
  tileBetween,
  type Band,
  type InnerReach,
  type Reach,
} from './wasm-axes.ts';

/** A whole layer's problem: its tensors begin at their first element, whatever part of them a GPU would bind. */
export interface WasmProblem extends Pick<
  Problem,
  'batch' | 'groups' | 'inChannels' | 'outChannels' | 'rows' | 'columns' | 'input' | 'output'
> {
  readonly activation: Activation;
  readonly negativeSlope: number;
}

/** The micro-kernels of assembly/multiply.ts. */
export type WasmKernelName = 'positions' | 'point' | 'rows';

export interface PlanAxis {
  readonly input: number;
  readonly output: number;
  readonly stride: number;
  /** Positions of each residue: the first has the most. */
  readonly positions: readonly number[];
  /** A tile that starts at t covers the positions m of a residue with t ≤ m + shift < t + tile. */
  readonly shifts: readonly number[];
  readonly tile: number;
  readonly tiles: number;
  /** Its strip begins at input t + low. */
  readonly low: number;
}

/** Phases that read the same inputs: their output channels are rows of one product. */
export interface RowFamily {
  readonly phases: readonly number[];
  /** Positions of a run. */
  readonly positions: number;
  /** Where its results begin, in bytes from the work's results. */
  readonly results: number;
  readonly blocks: readonly RowBlock[];
}

/** Rows that one kernel computes together. */
export interface RowBlock {
  readonly first: number;
  readonly rows: number;
  /** Where its bias and weights are gathered, in bytes from the work's start. */
  readonly weights: number;
}

/**
 * The part of the input that a tile reads: [input channel][row][column]. Rows are of one piece, or, where taps lie further apart
 * than a tile is high, a band for each tap: `bandRows` rows for each of them, which are `bandStep` rows of the input apart. So
 * are columns, but for taps nearer than a tile is wide, which share a band.
 */
interface Strip {
  readonly bands: number;
  readonly bandRows: number;
  readonly bandStep: number;
  readonly columnBands: readonly Band[];
  readonly columns: number;
  readonly planeStride: number;
  readonly bytes: number;
}

export interface WasmPlan {
  readonly problem: WasmProblem;
  readonly kernel: WasmKernelName;
  readonly outer: PlanAxis;
  readonly inner: PlanAxis;
  /** Elements from one place to the next along the outer and the inner axis. */
  readonly inputSteps: readonly [outer: number, inner: number];
  readonly outputSteps: readonly [outer: number, inner: number];
  /** Output channels that are computed together: 8, or all of a group's when they are fewer. */
  readonly panel: number;
  readonly panels: number;
  /** Groups of one job, and how many such sets there are. */
  readonly groupsTogether: number;
  readonly groupSets: number;
  /** How many jobs the panels of a tile are split into. */
  readonly parts: number;
  readonly jobs: number;
  /** Of phase outer residue · inner stride + inner residue: how many taps, and the word of `tables` where they begin. */
  readonly taps: readonly { readonly count: number; readonly table: number }[];
  /**
   * Of each word pair of `tables` that is a tap: the input row and column that it reads for a tile at 0. Empty where taps are so
   * near that all of them may reach every tile.
   */
  readonly reaches: Int32Array;
  /** For kernel 'rows'. */
  readonly families: readonly RowFamily[];
  /** Into how many runs its positions are cut: one, on through the halo, or the rows of a tile, where that is wide. */
  readonly runs: number;
  /** By how much positions of a family exceed a tile's columns, at most. */
  readonly spread: number;
  /** Byte offsets: each tap's of its first input and its weights, and, from word `phaseTable` on, of each phase's results. */
  readonly tables: Int32Array;
  readonly phaseTable: number;
  readonly strip: Strip;
  readonly results: Results;
  /** A thread's working memory, in bytes: the tables are at its start, then each group's gathered weights, strip and results. */
  readonly work: {
    readonly groupWeights: number;
    readonly strip: number;
    readonly results: number;
    readonly size: number;
  };
  /** Bytes of packed weights, and of the bias before them. */
  readonly weightBytes: number;
  readonly biasBytes: number;
}

/** How a call is cut. */
export interface WasmCuts {
  /** Into how many jobs at least, if it is large enough. Default 1. */
  readonly minimumJobs?: number;
  /** What a tile's strip and results may take together. Default 256 KiB, half of a small second-level cache. */
  readonly tileBytes?: number;
  /** What the strip of a single row of positions may take before the row is cut. Default 512 KiB. */
  readonly rowBytes?: number;
}

/** Groups of one output channel each that one job computes where pixels hold all channels: a cache line of them. */
const GROUPS_TOGETHER = 16;
/** Multiplications of one job, about: a few milliseconds, so that an abort is heard. */
const JOB_MULTIPLICATIONS = 2 ** 25;
/** Positions that runs are rounded to, about: a kernel's step. */
const RUN = 16;
/** Multiplications, of each row, that a run more costs. */
const RUN_COST = 1000;
/** Bytes that kernels may read beyond what they need: 32 positions, and some. */
const SLACK = 192;

const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

/** Packed weights: the bias, then [group][panel][kernel row][kernel column][input channel][panel's output channels]. */
export function packedSize(
  groups: number,
  inChannels: number,
  outChannels: number,
  taps: number,
): { readonly panel: number; readonly panels: number; readonly biasBytes: number; readonly weightBytes: number } {
  // Up to 12 output channels are computed by rows, which wastes none; more in panels of 8.
  const panel = outChannels <= 12 ? outChannels : 8;
  const panels = Math.ceil(outChannels / panel);
  return {
    panel,
    panels,
    biasBytes: groups * panels * panel * 4,
    weightBytes: groups * panels * taps * inChannels * panel * 4,
  };
}

/** A phase by its residues; `index` is outer residue · inner stride + inner residue. */
interface PlannedPhase {
  readonly index: number;
  readonly taps: readonly [outer: number, inner: number];
  /** On the inner axis. */
  readonly origin: number;
}

function phasesOf(outer: Reach, inner: InnerReach): PlannedPhase[] {
  return outer.axis.residues.flatMap((a, o) =>
    inner.axis.residues.map((b, i): PlannedPhase => ({
      index: o * inner.axis.stride + i,
      taps: isReal(a) && isReal(b) ? [a.taps, b.taps] : [0, 0],
      origin: inner.origins[i]!,
    })),
  );
}

/** Phases with equally many taps, and near origins: they read the same inputs, each from its own first column on. */
interface Family {
  readonly phases: readonly PlannedPhase[];
  /** The least origin of its phases on the inner axis, and by how much others exceed it. */
  readonly origin: number;
  readonly spread: number;
}

function familiesOf(phases: readonly PlannedPhase[]): Family[] {
  const families = new Map<string, PlannedPhase[]>();
  for (const phase of phases) {
    const key = phase.taps.join();
    const family = families.get(key);
    if (family === undefined) families.set(key, [phase]);
    else family.push(phase);
  }
  return [...families.values()]
    .flatMap((members) => nearOnes(members))
    .map((members) => {
      const inner = members.map(({ origin }) => origin);
      return { phases: members, origin: least(inner), spread: most(inner) - least(inner) };
    });
}

/** Cut where origins are far apart. */
function nearOnes(phases: readonly PlannedPhase[]): PlannedPhase[][] {
  const near: PlannedPhase[][] = [];
  let last = -Infinity;
  for (const phase of [...phases].sort((a, b) => a.origin - b.origin)) {
    if (phase.origin - last > FAR) near.push([]);
    near[near.length - 1]!.push(phase);
    last = phase.origin;
  }
  return near;
}

/** Rows in blocks of 1 to 4, as few as there can be, and threes rather than a four and a one. */
export function rowBlocks(rows: number): number[] {
  if (rows <= 4) return [rows];
  if (rows === 5) return [3, 2];
  const fours = Math.floor(rows / 4) - [0, 2, 1, 0][rows % 4]!;
  return [...Array<number>(fours).fill(4), ...Array<number>((rows - 4 * fours) / 3).fill(3)];
}

/** How the results of a tile lie in memory. */
interface Results {
  readonly channelStride: number;
  readonly rowStride: number;
  /** Of what one call of 'positions' or 'point' writes. */
  readonly phaseStride: number;
  readonly groupStride: number;
  readonly bytes: number;
}

/** [inner residue][row][8 channels][column] */
function panelResults(rows: number, columns: number, innerStride: number): Results {
  const channelStride = roundUp(columns, 4) * 4;
  const rowStride = channelStride * 8;
  const bytes = innerStride * rows * rowStride;
  return { channelStride, rowStride, phaseStride: rows * rowStride, groupStride: bytes, bytes };
}

/** How far a run through the halo goes, and how far one that ends with its row. */
const familyPositions = (
  { spread }: Family,
  rows: number,
  columns: number,
  stripColumns: number,
  runs: number,
): number => (runs > 1 ? 0 : (rows - 1) * stripColumns) + columns + spread;

/** [group][family][phase][channel][position], positions as they follow each other in the strip, or row by row. */
function rowResults(
  rows: number,
  columns: number,
  stripColumns: number,
  families: readonly Family[],
  panel: number,
  groupsTogether: number,
  perPosition: number,
): Results & { readonly runs: number } {
  const widest = roundUp(columns + most(families.map(({ spread }) => spread)), RUN);
  const runs = (stripColumns - widest) * perPosition > RUN_COST ? rows : 1;
  const rowColumns = runs > 1 ? widest : stripColumns;
  // The last step of a kernel may write 31 positions too many; a run's, before the next run is written.
  const channelStride = (roundUp((rows - 1) * rowColumns + widest, 4) + 32) * 4;
  const count = sum(families.map(({ phases }) => phases.length * panel));
  const groupStride = count * channelStride;
  return {
    channelStride,
    rowStride: rowColumns * 4,
    phaseStride: 0,
    groupStride,
    bytes: groupsTogether * groupStride,
    runs,
  };
}

export function planWasm(problem: WasmProblem, cuts: WasmCuts = {}): WasmPlan {
  const { minimumJobs = 1, tileBytes = 256 * 1024, rowBytes = 512 * 1024 } = cuts;
  const { batch, groups, inChannels, outChannels, rows, columns } = problem;
  const kernelTaps = rows.kernel * columns.kernel;
  const { panel, panels, biasBytes, weightBytes } = packedSize(groups, inChannels, outChannels, kernelTaps);

  // The kernels run along the inner axis, so where columns are few, it is the rows'.
  const few = columns.residues[0]!.positions;
  const swapped = few < 4 && rows.residues[0]!.positions > few;
  const [outer, inner] = swapped ? [outerReach(columns), innerReach(rows)] : [outerReach(rows), innerReach(columns)];
  const steps = ({ row, column }: Addresses): [number, number] => (swapped ? [column, row] : [row, column]);
  const phases = phasesOf(outer, inner);
  const kernel = outChannels <= 12 ? 'rows' : inner.extent === 1 ? 'point' : 'positions';
  const families = kernel === 'rows' ? familiesOf(phases) : [];

  // A group of one channel would read and write single values of pixels.
  const apart = outChannels > 1 || problem.input.channel !== 1 || problem.output.channel !== 1;
  const groupsTogether = apart ? 1 : Math.min(groups, GROUPS_TOGETHER);
  const groupSets = Math.ceil(groups / groupsTogether);

  // The tile: whole rows if they fit, and as many as fit.
  const layOut = (tileRows: number, tileColumns: number): { strip: Strip; results: Results; runs: number } => {
    const bandStep = Math.min(outer.axis.inputStep, tileRows);
    const inBands = bandStep < outer.axis.inputStep;
    const stripRows = tileRows + (outer.taps - 1) * bandStep;
    const columnBands = bandsOf(inner, tileColumns);
    const stripColumns = columnsOf(columnBands);
    // An odd number of cache lines, so that the channels of one position do not share a set of the cache.
    const planeStride = ((roundUp(stripRows * stripColumns * 4, 64) / 64) | 1) * 64;
    const bytes = groupsTogether * inChannels * planeStride;
    const strip: Strip = {
      bands: inBands ? outer.taps : 1,
      bandRows: inBands ? tileRows : stripRows,
      bandStep: outer.axis.inputStep,
      columnBands,
      columns: stripColumns,
      planeStride,
      bytes,
    };
    if (kernel !== 'rows') return { strip, results: panelResults(tileRows, tileColumns, inner.axis.stride), runs: 1 };
    const { runs, ...results } = rowResults(
      tileRows,
      tileColumns,
      stripColumns,
      families,
      panel,
      groupsTogether,
      kernelTaps * inChannels,
    );
    return { strip, results, runs };
  };
  // The least job, a panel or all rows of one tile, should be short, and its memory fit the cache.
  const perPosition = kernelTaps * inChannels * panel * groupsTogether;
  const fits = (tileRows: number, tileColumns: number): boolean => {
    const { strip, results } = layOut(tileRows, tileColumns);
    return strip.bytes + results.bytes <= tileBytes && tileRows * tileColumns * perPosition <= JOB_MULTIPLICATIONS;
  };
  const outerMost = kernel === 'point' ? outer.extent : tileBetween(outer);
  const innerMost = kernel === 'positions' ? tileBetween(inner) : inner.extent;
  const rowBytesPerColumn = 4 * groupsTogether * inChannels * outer.taps;
  const columnsAllowed = largest(
    Math.min(innerMost, Math.floor(JOB_MULTIPLICATIONS / perPosition)),
    (tile) => rowBytesPerColumn * columnsOf(bandsOf(inner, tile)) <= rowBytes,
  );
  let innerTiles = Math.ceil(inner.extent / Math.min(Math.max(16, columnsAllowed), innerMost));
  const innerTile = Math.min(inner.extent, roundUp(Math.ceil(inner.extent / innerTiles), 4));
  innerTiles = Math.ceil(inner.extent / innerTile);
  let outerTile = largest(outerMost, (tile) => fits(tile, innerTile));
  const wanted = Math.ceil(minimumJobs / Math.max(1, batch * groupSets * innerTiles));
  const rowsWanted = Math.min(Math.ceil(wanted / panels), outer.extent);
  outerTile = Math.ceil(outer.extent / Math.max(Math.ceil(outer.extent / outerTile), rowsWanted));
  const outerTiles = Math.ceil(outer.extent / outerTile);
  const multiplications = outerTile * innerTile * perPosition * panels;
  const partsWanted = Math.max(Math.ceil(multiplications / JOB_MULTIPLICATIONS), Math.ceil(wanted / outerTiles));
  const parts = kernel === 'rows' ? 1 : Math.min(panels, partsWanted);
  const { strip, results, runs } = layOut(outerTile, innerTile);

  // The tables: what each tap reads, then where each phase's results are.
  const tables: number[] = [];
  const reaches: number[] = [];
  const taps: { count: number; table: number }[] = [];
  const rowStep = Math.min(outer.axis.inputStep, outerTile);
  const addTaps = ({ index, taps: [J, L] }: PlannedPhase, origin: number): void => {
    const a = outer.axis.residues[Math.floor(index / inner.axis.stride)]!;
    const b = inner.axis.residues[index % inner.axis.stride]!;
    taps[index] = { count: J * L, table: tables.length };
    for (let j = 0; j < J; j++) {
      for (let l = 0; l < L; l++) {
        const column = origin - l * inner.axis.inputStep;
        const input = (outer.taps - 1 - j) * rowStep * strip.columns + placeIn(strip.columnBands, column);
        const outerTap = a.firstTap + outer.axis.tapStep * j;
        const innerTap = b.firstTap + inner.axis.tapStep * l;
        const tap = swapped ? innerTap * columns.kernel + outerTap : outerTap * columns.kernel + innerTap;
        tables.push(input * 4, tap * inChannels * panel * 4);
        reaches.push(outer.low + (outer.taps - 1 - j) * outer.axis.inputStep, inner.low + column);
      }
    }
  };
  const resultTable: number[] = [];
  const rowFamilies: RowFamily[] = [];
  let gathered = 0;
  if (kernel === 'rows') {
    let at = 0;
    for (const family of families) {
      const [J, L] = family.phases[0]!.taps;
      const count = J * L;
      let first = 0;
      const blocks = rowBlocks(family.phases.length * panel).map((blockRows): RowBlock => {
        const block = { first, rows: blockRows, weights: gathered };
        first += blockRows;
        gathered += blockRows * (1 + count * inChannels) * 4;
        return block;
      });
      rowFamilies.push({
        phases: family.phases.map(({ index }) => index),
        positions: familyPositions(family, outerTile, innerTile, strip.columns, runs),
        results: at,
        blocks,
      });
      for (const phase of family.phases) {
        addTaps(phase, family.origin);
        // Positions are the family's; the phase's own begin later.
        resultTable[phase.index] = at + (phase.origin - family.origin) * 4;
        at += panel * results.channelStride;
      }
    }
  } else {
    for (const phase of phases) {
      addTaps(phase, phase.origin);
      resultTable[phase.index] = (phase.index % inner.axis.stride) * results.phaseStride;
    }
  }
  const phaseTable = tables.length;
  const words = Int32Array.from([...tables, ...resultTable]);

  const weightsAt = roundUp(words.byteLength, 64);
  const stripAt = weightsAt + roundUp(groupsTogether * gathered, 64);
  const resultsAt = stripAt + strip.bytes;
  const planned = ({ axis, shifts, low }: Reach, tile: number, tiles: number): PlanAxis => ({
    input: axis.input,
    output: axis.output,
    stride: axis.stride,
    positions: axis.residues.map(({ positions }) => positions),
    shifts,
    tile,
    tiles,
    low,
  });
  return {
    problem,
    kernel,
    outer: planned(outer, outerTile, outerTiles),
    inner: planned(inner, innerTile, innerTiles),
    inputSteps: steps(problem.input),
    outputSteps: steps(problem.output),
    panel,
    panels,
    groupsTogether,
    groupSets,
    parts,
    jobs: batch * groupSets * outerTiles * innerTiles * parts,
    taps,
    reaches: Int32Array.from(isFar(outer, outerTile) || isFar(inner, innerTile) ? reaches : []),
    families: rowFamilies.map((family) => ({
      ...family,
      blocks: family.blocks.map((block) => ({ ...block, weights: weightsAt + block.weights })),
    })),
    tables: words,
    runs,
    spread: most([0, ...families.map(({ spread }) => spread)]),
    phaseTable,
    strip,
    results,
    work: {
      groupWeights: gathered,
      strip: stripAt,
      results: resultsAt,
      size: resultsAt + results.bytes + SLACK,
    },
    weightBytes,
    biasBytes,
  };
}
