/** What a tile takes in memory: the part of the input that it reads, and its results. */
import { bandsOf, columnsOf, most, type Band, type InnerReach, type Reach } from './wasm-axes.ts';
import type { Family } from './wasm-families.ts';

/** Positions of a run are rounded up to this many: about a kernel's step. */
const RUN = 16;
/** What another run costs, in multiplications of each of its rows: it is another call of the kernel. */
const RUN_COST = 1000;

export const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;

/**
 * The part of the input that a tile reads: [input channel][row][column]. Its rows are in one piece or, where taps lie further
 * apart than a tile is high, in one band of `bandRows` rows for each tap; bands are `bandStep` rows of the input apart. Columns
 * likewise, except that taps nearer to each other than a tile is wide share a band.
 */
export interface Strip {
  readonly bands: number;
  readonly bandRows: number;
  readonly bandStep: number;
  readonly columnBands: readonly Band[];
  readonly columns: number;
  readonly planeStride: number;
  readonly bytes: number;
}

/** @param channels of all groups together */
export function stripOf(outer: Reach, inner: InnerReach, rows: number, columns: number, channels: number): Strip {
  const step = Math.min(outer.axis.inputStep, rows);
  const inBands = step < outer.axis.inputStep;
  const stripRows = rows + (outer.taps - 1) * step;
  const columnBands = bandsOf(inner, columns);
  const stripColumns = columnsOf(columnBands);
  // An odd number of cache lines, so that the channels of one position do not share a set of the cache.
  const planeStride = ((roundUp(stripRows * stripColumns * 4, 64) / 64) | 1) * 64;
  return {
    bands: inBands ? outer.taps : 1,
    bandRows: inBands ? rows : stripRows,
    bandStep: outer.axis.inputStep,
    columnBands,
    columns: stripColumns,
    planeStride,
    bytes: channels * planeStride,
  };
}

/** How the results of a tile lie in memory. */
export interface Results {
  readonly channelStride: number;
  readonly rowStride: number;
  /** From one phase's results to the next, for the kernels 'positions' and 'point'. */
  readonly phaseStride: number;
  readonly groupStride: number;
  readonly bytes: number;
  /** Rows whose positions are one run, which goes on through the halo between them: all, or one where the halo is wide. */
  readonly runRows: number;
}

/** [inner residue][row][8 channels][column] */
export function panelResults(rows: number, columns: number, innerStride: number): Results {
  const channelStride = roundUp(columns, 4) * 4;
  const rowStride = channelStride * 8;
  const bytes = innerStride * rows * rowStride;
  return { channelStride, rowStride, phaseStride: rows * rowStride, groupStride: bytes, bytes, runRows: rows };
}

/** [group][family][phase][channel][position], positions as they follow each other in the strip, or row by row. */
export function rowResults(
  rows: number,
  columns: number,
  stripColumns: number,
  families: readonly Family[],
  panel: number,
  groups: number,
  perPosition: number,
): Results {
  const widest = roundUp(columns + most(families.map(({ spread }) => spread)), RUN);
  const runRows = (stripColumns - widest) * perPosition > RUN_COST ? 1 : rows;
  const rowColumns = runRows < rows ? widest : stripColumns;
  // The last step of a kernel may write 31 positions too many; a run's, before the next run is written.
  const channelStride = (roundUp((rows - 1) * rowColumns + widest, 4) + 32) * 4;
  const count = families.reduce((sum, { phases }) => sum + phases.length * panel, 0);
  const groupStride = count * channelStride;
  return {
    channelStride,
    rowStride: rowColumns * 4,
    phaseStride: 0,
    groupStride,
    bytes: groups * groupStride,
    runRows,
  };
}
