/** The phases of a plan, and which of them are computed as one product. */
import { FAR, isReal, least, most, type InnerReach, type Reach } from './wasm-axes.ts';

/** A phase by its residues; `index` is outer residue · inner stride + inner residue. */
export interface PlannedPhase {
  readonly index: number;
  readonly taps: readonly [outer: number, inner: number];
  /** On the inner axis. */
  readonly origin: number;
}

export function phasesOf(outer: Reach, inner: InnerReach): PlannedPhase[] {
  return outer.axis.residues.flatMap((a, o) =>
    inner.axis.residues.map((b, i): PlannedPhase => ({
      index: o * inner.axis.stride + i,
      taps: isReal(a) && isReal(b) ? [a.taps, b.taps] : [0, 0],
      origin: inner.origins[i]!,
    })),
  );
}

/** Phases with equally many taps, and near origins: they read the same inputs, each from its own first column on. */
export interface Family {
  readonly phases: readonly PlannedPhase[];
  /** The least origin of its phases on the inner axis, and by how much others exceed it. */
  readonly origin: number;
  readonly spread: number;
}

export function familiesOf(phases: readonly PlannedPhase[]): Family[] {
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

/** Phases in groups, cut where origins are far apart: a family reads everything between its origins. */
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

/** Rows in blocks of 3, whose nine sums keep multipliers busier than the eight of 4; of others where that does not go. */
export function rowBlocks(rows: number): number[] {
  if (rows <= 4) return [rows];
  if (rows === 5) return [3, 2];
  const fours = rows % 3;
  return [...Array<number>(fours).fill(4), ...Array<number>((rows - 4 * fours) / 3).fill(3)];
}
