/**
 * A plan as assembly/plan.ts declares it: words at the start of a thread's working memory. Their order is that of the fields there:
 * test/unit/wasm-words.test.ts holds one against the other.
 */
import { ACTIVATIONS } from '../types.ts';
import { most, placeIn, type Reach } from './wasm-axes.ts';
import { rowBlocks, type Family, type PlannedPhase } from './wasm-families.ts';
import { roundUp } from './wasm-layout.ts';
import type { Tiled, WasmKernelName, WasmPlan, WasmTiling } from './wasm-plan.ts';

/** The numbers of assembly/plan.ts. */
const KERNELS: Record<WasmKernelName, number> = { rows: 0, point: 1, positions: 2 };
/** Words of the plan's head, with room to grow: the tables begin behind it. */
const HEAD = 64;
/** Bytes behind the results that kernels may read or write: a last step of 32 positions, and a margin. */
const SLACK = 192;

export function planOf(tiling: WasmTiling): WasmPlan {
  const { problem, jobs, swapped, outer, inner, phases, families, panel, strip, results } = tiling;
  const { groups, inChannels, input, output, rows, columns } = problem;
  const tables: number[] = [];
  const here = (): number => (HEAD + tables.length) * 4;
  /** @returns their place, in bytes from the start of the memory */
  const table = (words: readonly number[]): number => {
    const at = here();
    for (const word of words) tables.push(word);
    return at;
  };

  const addAxis = ({ reach, tile, tiles }: Tiled<Reach>, inputStep: number, outputStep: number): number => {
    const { axis, shifts, extent, low } = reach;
    const residuesAt = table(axis.residues.flatMap(({ positions }, r) => [positions, shifts[r]!]));
    const steps = [inputStep * 4, outputStep * 4];
    return table([axis.input, axis.output, axis.stride, tile, tiles, extent, low, ...steps, residuesAt]);
  };
  const outerAt = swapped ? addAxis(outer, input.column, output.column) : addAxis(outer, input.row, output.row);
  const innerAt = swapped ? addAxis(inner, input.row, output.row) : addAxis(inner, input.column, output.column);
  const columnBandsAt = table(strip.columnBands.flatMap(({ offset, at, columns }) => [offset, at * 4, columns]));
  const columnBandsEnd = here();

  // For each tap: where its input is in the strip and its weights are in the panel, in bytes; then the row and the column of the
  // input that it reads for a tile at 0. `origin` is where the phase's first tap reads on the inner axis.
  const [a, b] = [outer.reach.axis, inner.reach.axis];
  const rowStep = Math.min(a.inputStep, outer.tile);
  const tapsOf = ({ index, taps: [J, L] }: PlannedPhase, origin: number): number[][] => {
    const [y, x] = [a.residues[Math.floor(index / b.stride)]!, b.residues[index % b.stride]!];
    return Array.from({ length: J * L }, (_, tap) => {
      const [j, l] = [Math.floor(tap / L), tap % L];
      const up = outer.reach.taps - 1 - j;
      const column = origin - l * b.inputStep;
      const from = up * rowStep * strip.columns + placeIn(strip.columnBands, column);
      const [outerTap, innerTap] = [y.firstTap + a.tapStep * j, x.firstTap + b.tapStep * l];
      const weight = swapped ? innerTap * columns.kernel + outerTap : outerTap * columns.kernel + innerTap;
      const reach = [outer.reach.low + up * a.inputStep, inner.reach.low + column];
      return [from * 4, weight * inChannels * panel * 4, ...reach];
    });
  };
  const phasesAt = table(phases.flatMap(() => [0, 0, 0, 0]));
  const phasesEnd = here();
  const phaseAt = (index: number): number => phasesAt + index * 16;
  const phaseResults: number[] = [];
  const addPhase = (phase: PlannedPhase, origin: number, resultsAt: number): void => {
    const taps = tapsOf(phase, origin);
    const tapsAt = table(taps.flatMap(([from, weight]) => [from!, weight!]));
    const allAt = table(tiling.selects ? taps.flat() : []);
    tables.splice(phaseAt(phase.index) / 4 - HEAD, 4, taps.length, tapsAt, allAt, here());
    phaseResults[phase.index] = resultsAt;
  };

  const blocks: number[] = [];
  const gathered: number[] = [];
  let [weightsAt, resultsAt] = [0, 0];
  const addFamily = (family: Family): void => {
    const { phases: members, origin, spread } = family;
    const [first] = members as [PlannedPhase];
    let row = 0;
    for (const blockRows of rowBlocks(members.length * panel)) {
      blocks.push(
        blockRows,
        weightsAt,
        phaseAt(first.index),
        inner.tile + spread,
        resultsAt + row * results.channelStride,
      );
      for (let r = 0; r < blockRows; r++, row++) {
        const { index } = members[Math.floor(row / panel)]!;
        gathered.push(weightsAt + r * 4, blockRows * 4, (row % panel) * 4, phaseAt(index));
      }
      weightsAt += blockRows * (1 + first.taps[0] * first.taps[1] * inChannels) * 4;
    }
    for (const phase of members) {
      // Positions are the family's; the phase's own begin later.
      addPhase(phase, origin, resultsAt + (phase.origin - origin) * 4);
      resultsAt += panel * results.channelStride;
    }
  };
  if (tiling.kernel === 'rows') families.forEach(addFamily);
  else for (const phase of phases) addPhase(phase, phase.origin, (phase.index % b.stride) * results.phaseStride);
  const phaseResultsAt = table(phaseResults);
  const blocksAt = table(blocks);
  const rowsAt = table(gathered);
  const rowsEnd = here();

  const gatheredAt = roundUp(rowsEnd, 64);
  const stripAt = gatheredAt + roundUp(tiling.groupsTogether * weightsAt, 64);
  const resultsFrom = stripAt + strip.bytes;
  const head = [
    // The call's addresses.
    ...[0, 0, 0],
    // Nothing is filled or gathered.
    ...[-1, -1, 0, 0, 0, 0, 0, 0, 0],
    KERNELS[tiling.kernel],
    // In the order of assembly/activation.ts.
    ACTIVATIONS.indexOf(problem.activation),
    ...new Int32Array(Float32Array.of(problem.negativeSlope).buffer),
    ...[inChannels, problem.outChannels, groups, tiling.groupsTogether, tiling.groupSets, tiling.parts],
    ...[
      tiling.panels,
      panel,
      groups * tiling.panels * panel * 4,
      rows.kernel * columns.kernel * inChannels * panel * 4,
    ],
    ...[outerAt, innerAt],
    ...[input.batch, input.group, input.channel, output.batch, output.group, output.channel].map((step) => step * 4),
    ...[stripAt, strip.planeStride, strip.columns * 4, strip.bands, strip.bandRows, strip.bandStep],
    ...[columnBandsAt, columnBandsEnd, phasesAt, phasesEnd],
    tiling.selects ? 1 : 0,
    most([0, ...families.map(({ spread }) => spread)]),
    ...[resultsFrom, results.bytes, results.channelStride, results.rowStride, results.phaseStride, results.groupStride],
    tiling.groupsTogether > 1 ? results.groupStride : results.channelStride,
    phaseResultsAt,
    ...[gatheredAt, weightsAt, blocksAt, rowsAt, rowsAt, rowsEnd, results.runRows],
  ];
  const words = new Int32Array(HEAD + tables.length);
  words.set(head);
  words.set(tables, HEAD);
  return { jobs, words, workBytes: resultsFrom + results.bytes + SLACK };
}
