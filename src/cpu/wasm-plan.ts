/**
 * How a call runs on WebAssembly: pure, and plain data, so that it can be sent to a worker.
 *
 * The outputs are cut into tiles of positions m (see geometry.ts), small enough for the part of the input that a tile reads, the
 * strip, to stay in a core's second-level cache. A job is one tile of one image and group, for some of its output channels;
 * jobs are independent, and any number of threads may share them.
 */
import type { Axis } from '../geometry.ts';
import type { Activation, Layout } from '../types.ts';

export interface WasmProblem {
  readonly batch: number;
  readonly groups: number;
  /** Of one group. */
  readonly inputChannels: number;
  /** Of one group. */
  readonly outputChannels: number;
  readonly rows: Axis;
  readonly columns: Axis;
  /** Of input and output. */
  readonly layout: Layout;
  readonly activation: Activation;
  readonly negativeSlope: number;
}

/** The micro-kernels of assembly/multiply.ts. */
export type WasmKernelName = 'positions' | 'point' | 'rows';

/** Elements from one index to the next. `outer` and `inner` are the axes as the plan orders them. */
interface Strides {
  readonly image: number;
  readonly channel: number;
  readonly outer: number;
  readonly inner: number;
}

interface PlanAxis {
  readonly input: number;
  readonly output: number;
  readonly stride: number;
  /** Positions of each residue: the first has the most. */
  readonly positions: readonly number[];
  /** The first of the residue's inputs for position 0: where its first tap reads, against the start of the strip. */
  readonly firstInputs: readonly number[];
  /** The strip begins at input m + low for the tile's first position m, and exceeds the tile by `halo`. */
  readonly low: number;
  readonly halo: number;
  readonly tile: number;
  readonly tiles: number;
}

/** Phases whose taps fall on the same inputs: their output channels are rows of one product. */
export interface RowClass {
  readonly phases: readonly number[];
  readonly results: number;
}

export interface WasmPlan {
  readonly problem: WasmProblem;
  readonly kernel: WasmKernelName;
  readonly outer: PlanAxis;
  readonly inner: PlanAxis;
  readonly inputStrides: Strides;
  readonly outputStrides: Strides;
  /** Output channels that are computed together: 8, or all of them when they are fewer. */
  readonly panel: number;
  readonly panels: number;
  /** How many jobs the panels of a tile are split into. */
  readonly parts: number;
  readonly jobs: number;
  /** Taps of phase (outer residue · inner stride + inner residue): how many, and where their offsets are in `tables`. */
  readonly taps: readonly { readonly count: number; readonly table: number }[];
  readonly classes: readonly RowClass[];
  /** Byte offsets, in 32-bit words: each phase's taps, then where each phase's results are, from word `phaseTable` on. */
  readonly tables: Int32Array;
  readonly phaseTable: number;
  /** Of the results of one channel, in bytes. */
  readonly resultChannelStride: number;
  readonly resultRowStride: number;
  /** Of the results that one multiplication of kernel 'positions' or 'point' writes. */
  readonly resultPhaseStride: number;
  readonly stripRows: number;
  readonly stripColumns: number;
  readonly planeStride: number;
  /** The parts of a thread's working memory, in bytes from its start; its first part are the tables. */
  readonly work: {
    readonly weights: number;
    readonly strip: number;
    readonly results: number;
    readonly resultsEnd: number;
    readonly size: number;
  };
  /** Bytes of packed weights, and of the bias before them. */
  readonly weightBytes: number;
  readonly biasBytes: number;
}

/** What a tile's strip and results may take together: half of a small second-level cache. */
const TILE_BYTES = 256 * 1024;
/** What a single row's strip may take before it is cut into columns. */
const ROW_BYTES = 512 * 1024;
/** Multiplications of one job, about: a few milliseconds, so that an abort is heard. */
const JOB_MULTIPLICATIONS = 2 ** 25;
/** What kernels may read or write beyond the end. */
const SLACK = 64;

const roundUp = (value: number, step: number): number => Math.ceil(value / step) * step;
const sum = (values: readonly number[]): number => values.reduce((total, value) => total + value, 0);

function strides(layout: Layout, channels: number, height: number, width: number): [Strides, Strides] {
  const image = channels * height * width;
  const [channel, row, column] = layout === 'NCHW' ? [height * width, width, 1] : [1, width * channels, channels];
  return [
    { image, channel, outer: row, inner: column },
    { image, channel, outer: column, inner: row },
  ];
}

/** The first and the last input that position 0 of any residue reads. */
function reach(axis: Axis): { low: number; high: number } {
  const real = axis.residues.filter(({ taps }) => taps > 0);
  if (real.length === 0) return { low: 0, high: 0 };
  return {
    low: Math.min(...real.map(({ taps, firstInput }) => firstInput - (taps - 1) * axis.inputStep)),
    high: Math.max(...real.map(({ firstInput }) => firstInput)),
  };
}

/** Packed weights: [group][panel][kernel row][kernel column][input channel][panel's output channels], after the bias. */
export function packedSize(
  groups: number,
  inputChannels: number,
  outputChannels: number,
  taps: number,
): {
  readonly panel: number;
  readonly panels: number;
  readonly biasBytes: number;
  readonly weightBytes: number;
} {
  const panel = Math.min(outputChannels, 8);
  const panels = Math.ceil(outputChannels / panel);
  return {
    panel,
    panels,
    biasBytes: groups * panels * 8 * 4,
    weightBytes: roundUp(groups * panels * taps * inputChannels * panel * 4, SLACK),
  };
}

/** @param minimumJobs into how many jobs the call should be cut at least, if it is large enough */
export function planWasm(problem: WasmProblem, minimumJobs = 1): WasmPlan {
  const { batch, groups, inputChannels, outputChannels, layout } = problem;
  const kernelWidth = problem.columns.kernel;
  const kernelTaps = problem.rows.kernel * kernelWidth;
  const { panel, panels, biasBytes, weightBytes } = packedSize(groups, inputChannels, outputChannels, kernelTaps);

  const mostPositions = (axis: Axis): number => axis.residues[0]?.positions ?? 0;
  // The kernels run along the inner axis: it should be the longer one when the width is tiny.
  const swapped = mostPositions(problem.columns) < 4 && mostPositions(problem.rows) > mostPositions(problem.columns);
  const [outerAxis, innerAxis] = swapped ? [problem.columns, problem.rows] : [problem.rows, problem.columns];
  const order = swapped ? 1 : 0;
  const { rows, columns } = problem;
  const inputStrides = strides(layout, groups * inputChannels, rows.input, columns.input)[order];
  const outputStrides = strides(layout, groups * outputChannels, rows.output, columns.output)[order];
  const kernel = panel < 8 ? 'rows' : mostPositions(innerAxis) === 1 ? 'point' : 'positions';

  const { low: outerLow, high: outerHigh } = reach(outerAxis);
  const { low: innerLow, high: innerHigh } = reach(innerAxis);
  const outerHalo = outerHigh - outerLow;
  const innerHalo = innerHigh - innerLow;
  const firstInput = ({ taps, firstInput }: Axis['residues'][number], low: number): number =>
    taps === 0 ? 0 : firstInput - low;
  const outerFirst = outerAxis.residues.map((residue) => firstInput(residue, outerLow));
  const innerFirst = innerAxis.residues.map((residue) => firstInput(residue, innerLow));

  // Rows of phases that share their inputs, by the number of taps on each axis.
  const members = new Map<string, [outer: number, inner: number][]>();
  if (kernel === 'rows') {
    outerAxis.residues.forEach((a, outer) => {
      innerAxis.residues.forEach((b, inner) => {
        const key = a.taps === 0 || b.taps === 0 ? 'none' : `${a.taps} ${b.taps}`;
        members.set(key, [...(members.get(key) ?? []), [outer, inner]]);
      });
    });
  }
  const span = (first: readonly number[], indices: readonly number[]): { least: number; spread: number } => {
    const values = indices.map((index) => first[index] ?? 0);
    const least = Math.min(...values);
    return { least, spread: Math.max(...values) - least };
  };
  const rowClasses = [...members.values()].map((phases) => ({
    phases,
    outer: span(
      outerFirst,
      phases.map(([outer]) => outer),
    ),
    inner: span(
      innerFirst,
      phases.map(([, inner]) => inner),
    ),
  }));

  /** How strip and results lie for a tile. */
  const layOut = (tileRows: number, tileColumns: number) => {
    const stripRows = tileRows + outerHalo;
    const stripColumns = tileColumns + innerHalo;
    // An odd number of cache lines, so that the channels of one position do not share a set of the cache.
    const planeStride = ((roundUp(stripRows * stripColumns * 4, 64) / 64) | 1) * 64;
    const stripBytes = inputChannels * planeStride + SLACK;
    if (kernel === 'rows') {
      const positions = rowClasses.map(
        ({ outer, inner }) => (tileRows + outer.spread - 1) * stripColumns + tileColumns + inner.spread,
      );
      const resultChannelStride = roundUp(Math.max(...positions), 8) * 4;
      const rowCount = sum(rowClasses.map(({ phases }) => roundUp(phases.length * panel, 4)));
      const resultBytes = rowCount * resultChannelStride;
      const resultRowStride = stripColumns * 4;
      return {
        stripRows,
        stripColumns,
        planeStride,
        stripBytes,
        resultChannelStride,
        resultRowStride,
        resultPhaseStride: 0,
        resultBytes,
      };
    }
    const resultChannelStride = roundUp(tileColumns, 4) * 4;
    const resultRowStride = resultChannelStride * 8;
    const resultPhaseStride = tileRows * resultRowStride;
    const resultBytes = innerAxis.stride * resultPhaseStride;
    return {
      stripRows,
      stripColumns,
      planeStride,
      stripBytes,
      resultChannelStride,
      resultRowStride,
      resultPhaseStride,
      resultBytes,
    };
  };

  const outerPositions = mostPositions(outerAxis);
  const innerPositions = mostPositions(innerAxis);
  const stripColumnsAllowed = Math.floor(ROW_BYTES / (4 * inputChannels * (1 + outerHalo))) - innerHalo;
  const innerTiles = Math.ceil(innerPositions / Math.min(innerPositions, Math.max(16, stripColumnsAllowed)));
  const innerTile = Math.min(innerPositions, roundUp(Math.ceil(innerPositions / innerTiles), 4));
  let outerTile = outerPositions;
  const fits = (rows: number): boolean => {
    const { stripBytes, resultBytes } = layOut(rows, innerTile);
    return stripBytes + resultBytes <= TILE_BYTES;
  };
  while (outerTile > 1 && !fits(outerTile)) outerTile--;
  const perTileRow = batch * groups * innerTiles;
  const wanted = Math.ceil(minimumJobs / Math.max(1, perTileRow));
  let outerTiles = Math.max(
    Math.ceil(outerPositions / outerTile),
    panels < wanted ? Math.min(wanted, outerPositions) : 1,
  );
  outerTile = Math.ceil(outerPositions / outerTiles);
  outerTiles = Math.ceil(outerPositions / outerTile);
  const multiplications = outerTile * innerTile * kernelTaps * inputChannels * outputChannels;
  const parts =
    kernel === 'rows'
      ? 1
      : Math.min(panels, Math.max(Math.ceil(multiplications / JOB_MULTIPLICATIONS), Math.ceil(wanted / outerTiles)));

  const { stripBytes, resultBytes, ...results } = layOut(outerTile, innerTile);
  const { stripColumns } = results;

  // The tables of offsets.
  const tables: number[] = [];
  const taps: { count: number; table: number }[] = [];
  const tapWeights = (axis: Axis, residue: Axis['residues'][number], j: number): number =>
    residue.firstTap + axis.tapStep * j;
  outerAxis.residues.forEach((a, outer) => {
    innerAxis.residues.forEach((b, inner) => {
      taps.push({ count: a.taps * b.taps, table: tables.length });
      const rowClass = rowClasses.find(({ phases }) => phases.some(([o, i]) => o === outer && i === inner));
      // Rows of a class start at the same input; a position of kernel 'positions' is counted from the phase's own first.
      const outerOrigin = rowClass?.outer.least ?? outerFirst[outer] ?? 0;
      const innerOrigin = rowClass?.inner.least ?? innerFirst[inner] ?? 0;
      for (let j = 0; j < a.taps; j++) {
        for (let l = 0; l < b.taps; l++) {
          const input = (outerOrigin - j * outerAxis.inputStep) * stripColumns + innerOrigin - l * innerAxis.inputStep;
          const [tapRow, tapColumn] = [tapWeights(outerAxis, a, j), tapWeights(innerAxis, b, l)];
          const tap = swapped ? tapColumn * kernelWidth + tapRow : tapRow * kernelWidth + tapColumn;
          tables.push(input * 4, tap * inputChannels * panel * 4);
        }
      }
    });
  });
  const phaseTable = tables.length;
  const classes: RowClass[] = [];
  if (kernel === 'rows') {
    let at = 0;
    for (const { phases, outer, inner } of rowClasses) {
      classes.push({ phases: phases.map(([o, i]) => o * innerAxis.stride + i), results: at });
      phases.forEach(([o, i], index) => {
        const position = ((outerFirst[o] ?? 0) - outer.least) * stripColumns + (innerFirst[i] ?? 0) - inner.least;
        tables[phaseTable + o * innerAxis.stride + i] = at + index * panel * results.resultChannelStride + position * 4;
      });
      at += roundUp(phases.length * panel, 4) * results.resultChannelStride;
    }
  } else {
    for (let phase = 0; phase < innerAxis.stride; phase++) tables.push(phase * results.resultPhaseStride);
  }

  const rowWeights = sum(
    classes.map(
      ({ phases }) => roundUp(phases.length * panel, 4) * (1 + (taps[phases[0] ?? 0]?.count ?? 0) * inputChannels),
    ),
  );
  const weightsAt = roundUp(tables.length * 4, SLACK);
  const stripAt = weightsAt + roundUp(rowWeights * 4, SLACK);
  const resultsAt = stripAt + roundUp(stripBytes, SLACK);
  const axisOf = (
    axis: Axis,
    firstInputs: number[],
    low: number,
    halo: number,
    tile: number,
    tiles: number,
  ): PlanAxis => ({
    input: axis.input,
    output: axis.output,
    stride: axis.stride,
    positions: axis.residues.map(({ positions }) => positions),
    firstInputs,
    low,
    halo,
    tile,
    tiles,
  });
  return {
    problem,
    kernel,
    outer: axisOf(outerAxis, outerFirst, outerLow, outerHalo, outerTile, outerTiles),
    inner: axisOf(innerAxis, innerFirst, innerLow, innerHalo, innerTile, innerTiles),
    inputStrides,
    outputStrides,
    panel,
    panels,
    parts,
    jobs: perTileRow * outerTiles * parts,
    taps,
    classes,
    tables: Int32Array.from(tables),
    phaseTable,
    ...results,
    work: {
      weights: weightsAt,
      strip: stripAt,
      results: resultsAt,
      resultsEnd: resultsAt + resultBytes,
      size: resultsAt + resultBytes + SLACK,
    },
    weightBytes,
    biasBytes,
  };
}
