/** How each grid looks in a step: what is lit, what is already there, what is still to come. */
import type { Cell, GridLook } from '../grid.ts';
import { fullSize, outputSize, type Layer, type Size } from './layer.ts';
import type { Columns, SparseMatrix } from './matrix.ts';
import type { Numbers } from './numbers.ts';
import type { Scene } from './scene.ts';
import { landing, phaseOf, spread } from './sums.ts';
import { insertAndPad, insertZeros, turned, type StretchedInput } from './zero-insertion.ts';

const isAt = (at: Size, y: number, x: number): boolean => at[0] === y && at[1] === x;
const digits = (value: number): string => String(value).replace('-', '−');
const EMPTY: Cell = { fill: '--well' };

/** Whether the numbers of the output that is looked at are being shown. */
const looksAtOutput = ({ state, step }: Scene): boolean => state.way !== 'spread' || step.kind === 'cropped';

export function inputLook(scene: Scene): GridLook {
  const { state, step, gathered } = scene;
  const { numbers } = scene.model;
  const [, width] = state.layer.input;
  return {
    size: state.layer.input,
    cell: (y, x) => {
      const at = y * width + x;
      const current = step.kind === 'input' && isAt(step.at, y, x);
      const used =
        looksAtOutput(scene) &&
        (step.kind === 'output' || step.kind === 'cropped') &&
        gathered.terms.some(({ input }) => isAt(input, y, x));
      const waiting = step.kind === 'input' && at >= step.done;
      return {
        text: digits(numbers.input[at]!),
        fill: '--input',
        ...((current || used) && { ring: '--input-edge' }),
        ...(waiting && { opacity: 0.45 }),
        ...(step.kind === 'output' && !used && { opacity: 0.45 }),
      };
    },
  };
}

export function kernelLook(scene: Scene): GridLook {
  const { state, step, gathered } = scene;
  const { numbers } = scene.model;
  const [height, width] = state.layer.kernel;
  const isTurned = state.way === 'zeros' && (step.kind === 'turned' || step.kind === 'output');
  const weights = isTurned ? turned(numbers.kernel) : numbers.kernel;
  return {
    size: state.layer.kernel,
    cell: (y, x) => {
      const tap: Size = isTurned ? [height - 1 - y, width - 1 - x] : [y, x];
      const used =
        looksAtOutput(scene) && step.kind !== 'turned' && gathered.terms.some((term) => isAt(term.tap, ...tap));
      const lit = used && (step.kind === 'output' || step.kind === 'cropped');
      return {
        text: digits(weights[y * width + x]!),
        fill: '--kernel',
        ...(lit && { ring: '--kernel-edge' }),
        ...(step.kind === 'output' && !used && { opacity: 0.45 }),
      };
    },
  };
}

/** The full result while copies of the kernel add up in it, and the part that padding leaves. */
export function fullLook(scene: Scene): GridLook {
  const { state, step, gathered } = scene;
  const { numbers } = scene.model;
  const { layer } = state;
  const full = fullSize(layer);
  const output = outputSize(layer);
  const count = step.kind === 'input' ? step.done : step.kind === 'cropped' ? numbers.input.length : 0;
  const sums = spread(layer, numbers, count);
  const touched = landings(layer, count);
  const stamp = step.kind === 'input' ? landings(layer, count, count - 1) : new Set<number>();
  const [top, left] = layer.padding;
  return {
    // Output padding may reach beyond the full result.
    size: [Math.max(full[0], top + output[0]), Math.max(full[1], left + output[1])],
    cell: (y, x) => {
      const kept = y >= top && x >= left && y < top + output[0] && x < left + output[1];
      const at = y < full[0] && x < full[1] ? y * full[1] + x : -1;
      const cropped = step.kind === 'cropped';
      const there = touched.has(at) || (cropped && kept);
      const looked = isAt(state.output, y - top, x - left);
      const mark = {
        dot: kept && isAt(phaseOf(layer, [y - top, x - left]), ...gathered.phase),
        ...(looked && { ring: '--output-edge' }),
      };
      if (!there) return { ...EMPTY, ...mark, ...(!kept && { opacity: 0.5 }) };
      return {
        ...mark,
        text: digits(sums[at] ?? 0),
        fill: '--output',
        ...(stamp.has(at) && !looked && { ring: '--kernel-edge' }),
        ...(!kept && { opacity: cropped ? 0.25 : 0.5 }),
      };
    },
    frames: [{ at: layer.padding, size: output, colour: '--quiet', dashed: step.kind !== 'cropped' }],
  };
}

/** The places that the inputs from `first` up to `count` reach, in the full result. */
function landings(layer: Layer, count: number, first = 0): Set<number> {
  const width = fullSize(layer)[1];
  const places = new Set<number>();
  for (let at = first; at < count; at++) {
    const input: Size = [Math.floor(at / layer.input[1]), at % layer.input[1]];
    for (let ky = 0; ky < layer.kernel[0]; ky++) {
      for (let kx = 0; kx < layer.kernel[1]; kx++) {
        const [y, x] = landing(layer, input, [ky, kx]);
        places.add(y * width + x);
      }
    }
  }
  return places;
}

export function outputLook({ state, model, step, gathered }: Scene): GridLook {
  const size = outputSize(state.layer);
  const done = step.kind === 'output' ? step.done : 0;
  return {
    size,
    cell: (y, x) => {
      const at = y * size[1] + x;
      const looked = step.kind === 'output' && isAt(state.output, y, x);
      const phase = phaseOf(state.layer, [y, x]);
      const dot = step.kind === 'output' && isAt(gathered.phase, ...phase);
      if (at >= done) return { ...EMPTY, dot };
      return { text: digits(model.outputs[at]!), fill: '--output', dot, ...(looked && { ring: '--output-edge' }) };
    },
  };
}

/** The input as it is stretched by zeros, with the turned kernel over it. */
export function stretchedLook({ state, model, step }: Scene): GridLook {
  const { numbers } = model;
  const { layer } = state;
  const plain: StretchedInput = {
    size: layer.input,
    kinds: numbers.input.map(() => 'input' as const),
    values: numbers.input,
  };
  const stretched =
    step.kind === 'given'
      ? plain
      : step.kind === 'inserted'
        ? insertZeros(layer, numbers)
        : insertAndPad(layer, numbers);
  const { size, kinds, values } = stretched;
  const [down, across] = layer.dilation;
  const corner = step.kind === 'output' ? step.at : undefined;
  const isUnder = (y: number, x: number): boolean => {
    if (!corner) return false;
    const [dy, dx] = [y - corner[0], x - corner[1]];
    if (dy < 0 || dx < 0 || dy % down !== 0 || dx % across !== 0) return false;
    return dy / down < layer.kernel[0] && dx / across < layer.kernel[1];
  };
  return {
    size,
    cell: (y, x) => {
      const at = y * size[1] + x;
      const isInput = kinds[at] === 'input';
      return {
        text: digits(values[at]!),
        fill: isInput ? '--input' : '--well',
        ...(!isInput && { ink: '--quiet' }),
        ...(kinds[at] === 'padding' && { opacity: 0.6 }),
        ...(isUnder(y, x) && { ring: '--kernel-edge', opacity: 1 }),
      };
    },
  };
}

/** The sparse matrix; the output that is looked at is a row of it, or a column of its transpose. */
export function matrixLook(matrix: SparseMatrix, isTransposed: boolean, looked: number): GridLook {
  return {
    size: [matrix.rows, matrix.columns],
    cell: (y, x) => {
      const at = y * matrix.columns + x;
      const inLine = (isTransposed ? x : y) === looked;
      if (matrix.connected[at] !== 1) return inLine ? { fill: '--line' } : EMPTY;
      return { text: digits(matrix.values[at]!), fill: '--kernel', ...(inLine && { ring: '--kernel-edge' }) };
    },
  };
}

/** The kernel as a column, the input as a row, and between them every product. */
export function columnsLook(columns: Columns, numbers: Numbers, looked: number): GridLook {
  return {
    size: [columns.rows + 1, columns.columns + 1],
    cell: (y, x) => {
      if (y === 0 && x === 0) return undefined;
      if (y === 0) return { text: digits(numbers.input[x - 1]!), fill: '--input' };
      if (x === 0) return { text: digits(numbers.kernel[y - 1]!), fill: '--kernel' };
      const at = (y - 1) * columns.columns + x - 1;
      const landing = columns.landings[at]!;
      return {
        text: digits(columns.values[at]!),
        fill: landing < 0 ? '--well' : '--output',
        ...(landing < 0 && { ink: '--quiet' }),
        ...(landing === looked && { ring: '--output-edge' }),
      };
    },
  };
}
