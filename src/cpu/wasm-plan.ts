/**
 * How a call runs on WebAssembly: pure, and plain data, so that it can be sent to a worker.
 *
 * The outputs are cut into tiles of positions m (see geometry.ts), small enough for the part of the input that a tile reads, the
 * strip, to stay in a core's second-level cache. A job is one tile of one image and group, or of several groups whose channels
 * lie together, for some of its output channels; jobs are independent, and any number of threads may share them.
 */
import type { Problem } from '../problem.ts';
import type { Activation } from '../types.ts';
import {
  bandsOf,
  columnsOf,
  innerReach,
  isFar,
  largest,
  outerReach,
  tileBetween,
  type InnerReach,
  type Reach,
} from './wasm-axes.ts';
import { familiesOf, phasesOf, type Family, type PlannedPhase } from './wasm-families.ts';
import { panelResults, roundUp, rowResults, stripOf, type Results, type Strip } from './wasm-layout.ts';
import { planOf } from './wasm-words.ts';

/** A whole layer's problem: its tensors begin at their first element, whatever part of them a GPU would bind. */
export interface WasmProblem extends Pick<
  Problem,
  'batch' | 'groups' | 'inChannels' | 'outChannels' | 'rows' | 'columns' | 'input' | 'output'
> {
  readonly activation: Activation;
  readonly negativeSlope: number;
}

/** The micro-kernels of assembly/multiply-rows.ts and multiply.ts. */
export type WasmKernelName = 'positions' | 'point' | 'rows';

/** An axis in tiles. */
export interface Tiled<Along extends Reach> {
  readonly reach: Along;
  readonly tile: number;
  readonly tiles: number;
}

/** How a problem is cut into jobs. */
export interface WasmTiling {
  readonly problem: WasmProblem;
  readonly kernel: WasmKernelName;
  /** Whether the inner axis, along which kernels run, is the rows'. */
  readonly swapped: boolean;
  readonly outer: Tiled<Reach>;
  readonly inner: Tiled<InnerReach>;
  readonly phases: readonly PlannedPhase[];
  /** For kernel 'rows'. */
  readonly families: readonly Family[];
  /** Output channels that are computed together: all of a group's, or 8 where it has more than 12. */
  readonly panel: number;
  readonly panels: number;
  /** Groups of one job, and how many such sets there are. */
  readonly groupsTogether: number;
  readonly groupSets: number;
  /** How many jobs the panels of a tile are split into. */
  readonly parts: number;
  readonly jobs: number;
  /** Whether some taps may miss a tile: each selects its own then. */
  readonly selects: boolean;
  readonly strip: Strip;
  readonly results: Results;
}

/** What an engine has to know of it. Small, since it is sent to workers with each call. */
export interface WasmPlan {
  readonly jobs: number;
  /** What a thread's working memory begins with: the tiling as assembly/plan.ts declares it. */
  readonly words: Int32Array<ArrayBuffer>;
  /** Bytes of that memory. */
  readonly workBytes: number;
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

export const planWasm = (problem: WasmProblem, cuts?: WasmCuts): WasmPlan => planOf(tilingOf(problem, cuts));

export function tilingOf(problem: WasmProblem, cuts: WasmCuts = {}): WasmTiling {
  const { minimumJobs = 1, tileBytes = 256 * 1024, rowBytes = 512 * 1024 } = cuts;
  const { batch, groups, inChannels, outChannels, rows, columns } = problem;
  const kernelTaps = rows.kernel * columns.kernel;
  const { panel, panels } = packedSize(groups, inChannels, outChannels, kernelTaps);

  // The kernels run along the inner axis, so where columns are few, it is the rows'.
  const few = columns.residues[0]!.positions;
  const swapped = few < 4 && rows.residues[0]!.positions > few;
  const [outer, inner] = swapped ? [outerReach(columns), innerReach(rows)] : [outerReach(rows), innerReach(columns)];
  const phases = phasesOf(outer, inner);
  const kernel = outChannels <= 12 ? 'rows' : inner.extent === 1 ? 'point' : 'positions';
  const families = kernel === 'rows' ? familiesOf(phases) : [];

  // A group of one channel would read and write single values of pixels.
  const apart = outChannels > 1 || problem.input.channel !== 1 || problem.output.channel !== 1;
  const groupsTogether = apart ? 1 : Math.min(groups, GROUPS_TOGETHER);
  const groupSets = Math.ceil(groups / groupsTogether);
  const channels = groupsTogether * inChannels;

  // The tile: whole rows if they fit, and as many as fit.
  const layOut = (tileRows: number, tileColumns: number): { strip: Strip; results: Results } => {
    const strip = stripOf(outer, inner, tileRows, tileColumns, channels);
    const results =
      kernel === 'rows'
        ? rowResults(tileRows, tileColumns, strip.columns, families, panel, groupsTogether, kernelTaps * inChannels)
        : panelResults(tileRows, tileColumns, inner.axis.stride);
    return { strip, results };
  };
  // The least job, a panel or all rows of one tile, should be short, and its memory fit the cache.
  const perPosition = kernelTaps * channels * panel;
  const fits = (tileRows: number, tileColumns: number): boolean => {
    const { strip, results } = layOut(tileRows, tileColumns);
    return strip.bytes + results.bytes <= tileBytes && tileRows * tileColumns * perPosition <= JOB_MULTIPLICATIONS;
  };
  const outerMost = kernel === 'point' ? outer.extent : tileBetween(outer);
  const innerMost = kernel === 'positions' ? tileBetween(inner) : inner.extent;
  const rowBytesPerColumn = 4 * channels * outer.taps;
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
  return {
    problem,
    kernel,
    swapped,
    outer: { reach: outer, tile: outerTile, tiles: outerTiles },
    inner: { reach: inner, tile: innerTile, tiles: innerTiles },
    phases,
    families,
    panel,
    panels,
    groupsTogether,
    groupSets,
    parts,
    jobs: batch * groupSets * outerTiles * innerTiles * parts,
    selects: isFar(outer, outerTile) || isFar(inner, innerTile),
    ...layOut(outerTile, innerTile),
  };
}
