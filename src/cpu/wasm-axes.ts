/** The axes of a plan: what a tile of positions reads of each. */
import type { Axis, Residue } from '../geometry.ts';

/** From this many inputs between taps on, tiles are cut to fit between them: a tile then meets few of the taps. */
export const FAR = 8;

export const most = (values: readonly number[]): number => values.reduce((a, b) => Math.max(a, b));
export const least = (values: readonly number[]): number => values.reduce((a, b) => Math.min(a, b));

/** The largest from 1 to `limit` that fits, as all below it do; 1 if none does. By halves, for there may be millions. */
export function largest(limit: number, fits: (value: number) => boolean): number {
  let [fitting, over] = [1, limit + 1];
  while (over - fitting > 1) {
    const middle = Math.floor((fitting + over) / 2);
    if (fits(middle)) fitting = middle;
    else over = middle;
  }
  return fitting;
}

/** An axis, as tiles and strips see it. */
export interface Reach {
  readonly axis: Axis;
  /** For each residue: by how much its positions m are shifted against the tiles' positions. */
  readonly shifts: readonly number[];
  /** The strip of a tile at t begins at input t + low. */
  readonly low: number;
  /** How many values m + shift takes: the length that tiles are cut from. */
  readonly extent: number;
  /** By how much a strip exceeds its tile. */
  readonly halo: number;
  /** The most taps of a residue. */
  readonly taps: number;
}

export interface InnerReach extends Reach {
  /** Where, from the start of the strip, the first tap of each residue reads for the tile's first position. */
  readonly origins: readonly number[];
  /** Every place that a tap of some residue reads for that position, ascending, without repeats; for a strip in one piece. */
  readonly offsets: readonly number[];
}

export const isReal = ({ taps }: Residue): boolean => taps > 0;

/** The outer axis. Residues are shifted so that positions which read the same inputs fall into the same tile and row. */
export function outerReach(axis: Axis): Reach {
  const real = axis.residues.filter(isReal);
  const first = real.length === 0 ? 0 : least(real.map(({ firstInput }) => firstInput));
  const halo = real.length === 0 ? 0 : most(real.map(({ taps }) => (taps - 1) * axis.inputStep));
  const shifts = axis.residues.map((residue) => (isReal(residue) ? residue.firstInput - first : 0));
  const extent = most(axis.residues.map(({ positions }, r) => positions + shifts[r]!));
  const taps = halo / axis.inputStep + 1;
  return { axis, shifts, low: first - halo, extent, halo, taps };
}

/** The inner axis. Nothing is shifted: a tile takes the same positions of all residues, since their results are interleaved. */
export function innerReach(axis: Axis): InnerReach {
  const real = axis.residues.filter(isReal);
  const low = real.length === 0 ? 0 : least(real.map((r) => r.firstInput - (r.taps - 1) * axis.inputStep));
  const origins = axis.residues.map((residue) => (isReal(residue) ? residue.firstInput - low : 0));
  const shifts = origins.map(() => 0);
  const taps = most([1, ...real.map((residue) => residue.taps)]);
  const offsets = real.flatMap((residue) =>
    Array.from({ length: residue.taps }, (_, l) => residue.firstInput - low - l * axis.inputStep),
  );
  const sorted = [...new Set([0, ...offsets])].sort((a, b) => a - b);
  return {
    axis,
    shifts,
    low,
    extent: axis.residues[0]!.positions,
    halo: most(origins),
    taps,
    origins,
    offsets: sorted,
  };
}

const hasFarTaps = ({ axis, taps }: Reach): boolean => taps > 1 && axis.inputStep >= FAR;

/** Whether tiles of this size may miss some taps: each then selects its own. */
export const isFar = (reach: Reach, tile: number): boolean => hasFarTaps(reach) && tile < reach.extent;

/** The largest tile to cut: no larger than the gap between taps where that is worth it. */
export const tileBetween = (reach: Reach): number =>
  hasFarTaps(reach) ? Math.min(reach.axis.inputStep, reach.extent) : reach.extent;

/** Columns of a strip that lie together in the input. */
export interface Band {
  /** Its first column, as if the strip were in one piece. */
  readonly offset: number;
  /** Where it begins in the strip. */
  readonly at: number;
  readonly columns: number;
}

/** The columns that a tile reads, in one band wherever taps are nearer than the tile is wide. */
export function bandsOf({ offsets }: InnerReach, tile: number): Band[] {
  const bands: Band[] = [];
  let [first, last, at] = [0, 0, 0];
  const end = (): void => {
    bands.push({ offset: first, at, columns: last - first + tile });
    at += last - first + tile;
  };
  for (const offset of offsets) {
    // Phases of a family share a band.
    if (offset - last > Math.max(tile, FAR)) {
      end();
      first = offset;
    }
    last = offset;
  }
  end();
  return bands;
}

export const columnsOf = (bands: readonly Band[]): number => bands.reduce((sum, { columns }) => sum + columns, 0);

/** Where in the strip an offset of `InnerReach` is. */
export function placeIn(bands: readonly Band[], offset: number): number {
  const { at, offset: first } = bands.reduce((found, band) => (band.offset <= offset ? band : found));
  return at + offset - first;
}
