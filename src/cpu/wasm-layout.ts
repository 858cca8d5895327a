/** What a tile takes in memory: the part of the input that it reads, and its results. */
import { bandsOf, columnsOf, most, type Band, type InnerReach, type Reach } from './wasm-axes.ts';
import type { Family } from './wasm-families.ts';

/** Positions that runs are rounded to, about: a kernel's step. */
const RUN = 16;
/** Multiplications, of each row, that a run more costs. */
const RUN_COST = 1000;

export const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;

/**
 * The part of the input that a tile reads: [input channel][row][column]. Rows are of one piece, or, where taps lie further apart
 * than a tile is high, a band for each tap: `bandRows` rows for each of them, which are `bandStep` rows of the input apart. So
 * are columns, but for taps nearer than a tile is wide, which share a band.
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
  /** Of what one call of 'positions' or 'point' writes. */
  readonly phaseStride: number;
  readonly groupStride: number;
  readonly bytes: number;
  /** Into how many runs positions are cut: one, on through the halo, or the rows of a tile, where that is wide. */
  readonly runs: number;
}

/** [inner residue][row][8 channels][column] */
export function panelResults(rows: number, columns: number, innerStride: number): Results {
  const channelStride = roundUp(columns, 4) * 4;
  const rowStride = channelStride * 8;
  const bytes = innerStride * rows * rowStride;
  return { channelStride, rowStride, phaseStride: rows * rowStride, groupStride: bytes, bytes, runs: 1 };
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
  const runs = (stripColumns - widest) * perPosition > RUN_COST ? rows : 1;
  const rowColumns = runs > 1 ? widest : stripColumns;
  // The last step of a kernel may write 31 positions too many; a run's, before the next run is written.
  const channelStride = (roundUp((rows - 1) * rowColumns + widest, 4) + 32) * 4;
  const count = families.reduce((sum, { phases }) => sum + phases.length * panel, 0);
  const groupStride = count * channelStride;
  return { channelStride, rowStride: rowColumns * 4, phaseStride: 0, groupStride, bytes: groups * groupStride, runs };
}
