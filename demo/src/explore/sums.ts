/**
 * How inputs become outputs, told from both ends. Along each axis an input i and a tap k meet in the place
 * i · stride + k · dilation of the full result; padding crops from its start.
 */
import { AXES, axisOf, fullLength, outputSize, type Axis, type AxisIndex, type Layer, type Size } from './layer.ts';
import type { Numbers } from './numbers.ts';

const modulo = (a: number, n: number): number => ((a % n) + n) % n;

/** One product of a sum: a tap, the input that it meets and both their numbers. */
export interface Term {
  readonly tap: Size;
  readonly input: Size;
  /** False where the tap reaches beyond the input: the product is then 0. */
  readonly inside: boolean;
  readonly weight: number;
  readonly pixel: number;
}

/** Everything that enters one output. */
export interface Gathered {
  readonly output: Size;
  /** (output + padding) mod stride, per axis: outputs of one phase use the same taps. */
  readonly phase: Size;
  readonly terms: readonly Term[];
  readonly sum: number;
}

/** The taps that can reach an output along one axis, and the inputs that they meet, inside or not. */
function meetings({ kernel, stride, padding, dilation }: Axis, output: number): { tap: number; input: number }[] {
  const found: { tap: number; input: number }[] = [];
  for (let tap = 0; tap < kernel; tap++) {
    const place = output + padding - tap * dilation;
    if (modulo(place, stride) === 0) found.push({ tap, input: place / stride });
  }
  return found;
}

export const phaseOf = (layer: Layer, output: Size): Size => {
  const along = (axis: AxisIndex): number => modulo(output[axis] + layer.padding[axis], layer.stride[axis]);
  return [along(0), along(1)];
};

export function gather(layer: Layer, numbers: Numbers, output: Size): Gathered {
  const [rows, columns] = AXES.map((axis) => meetings(axisOf(layer, axis), output[axis])) as [
    ReturnType<typeof meetings>,
    ReturnType<typeof meetings>,
  ];
  const terms = rows.flatMap((row) =>
    columns.map((column): Term => {
      const [y, x] = [row.input, column.input];
      const inside = y >= 0 && y < layer.input[0] && x >= 0 && x < layer.input[1];
      return {
        tap: [row.tap, column.tap],
        input: [y, x],
        inside,
        weight: numbers.kernel[row.tap * layer.kernel[1] + column.tap]!,
        pixel: inside ? numbers.input[y * layer.input[1] + x]! : 0,
      };
    }),
  );
  const sum = terms.reduce((total, { weight, pixel }) => total + weight * pixel, 0);
  return { output, phase: phaseOf(layer, output), terms, sum };
}

/** The output, row-major, collected one by one. */
export function outputs(layer: Layer, numbers: Numbers): number[] {
  const [height, width] = outputSize(layer);
  return Array.from(
    { length: height * width },
    (_, at) => gather(layer, numbers, [Math.floor(at / width), at % width]).sum,
  );
}

/** The place in the full result where a tap of an input's copy of the kernel lands. */
export const landing = ({ stride, dilation }: Layer, input: Size, tap: Size): Size => [
  input[0] * stride[0] + tap[0] * dilation[0],
  input[1] * stride[1] + tap[1] * dilation[1],
];

/** The full result after the first `count` inputs, in reading order, have added their copy of the kernel. */
export function spread(layer: Layer, numbers: Numbers, count: number): number[] {
  const width = fullLength(axisOf(layer, 1));
  const full = new Array<number>(fullLength(axisOf(layer, 0)) * width).fill(0);
  for (const [at, pixel] of numbers.input.slice(0, count).entries()) {
    const input: Size = [Math.floor(at / layer.input[1]), at % layer.input[1]];
    for (const [tapAt, weight] of numbers.kernel.entries()) {
      const tap: Size = [Math.floor(tapAt / layer.kernel[1]), tapAt % layer.kernel[1]];
      const [y, x] = landing(layer, input, tap);
      full[y * width + x]! += pixel * weight;
    }
  }
  return full;
}
