/** The same result as an ordinary convolution: zeros between the inputs, zeros around them, the kernel turned by 180°. */
import { axisOf, kernelExtent, outputLength, type Axis, type AxisIndex, type Layer, type Size } from './layer.ts';
import type { Numbers } from './numbers.ts';

export type CellKind = 'input' | 'inserted' | 'padding';

/** A grid of numbers of which each is an input, a zero between inputs or a zero around them. */
export interface StretchedInput {
  readonly size: Size;
  readonly kinds: readonly CellKind[];
  readonly values: readonly number[];
}

/** stride · (input − 1) + 1: the inputs and the zeros between them. */
const insertedLength = ({ input, stride }: Axis): number => stride * (input - 1) + 1;

/** Zeros before the first input; a negative number crops. Output padding only adds to those behind the last. */
export const zerosBefore = (axis: Axis): number => kernelExtent(axis) - 1 - axis.padding;
export const zerosAfter = (axis: Axis): number => zerosBefore(axis) + axis.outputPadding;

export const insertZeros = (layer: Layer, numbers: Numbers): StretchedInput =>
  stretch(layer, numbers, (axis) => ({ first: 0, length: insertedLength(axis) }));

/** What the turned kernel slides over, one place per output. */
export const insertAndPad = (layer: Layer, numbers: Numbers): StretchedInput =>
  stretch(layer, numbers, (axis) => ({
    first: -zerosBefore(axis),
    length: outputLength(axis) + kernelExtent(axis) - 1,
  }));

function stretch(
  layer: Layer,
  numbers: Numbers,
  range: (axis: Axis) => { first: number; length: number },
): StretchedInput {
  const [vertical, horizontal] = ([0, 1] as const).map((at: AxisIndex) => {
    const axis = axisOf(layer, at);
    const { first, length } = range(axis);
    return Array.from({ length }, (_, place) => classify(axis, first + place));
  }) as [Place[], Place[]];
  const kinds: CellKind[] = [];
  const values: number[] = [];
  for (const row of vertical) {
    for (const column of horizontal) {
      const kind = row.kind === 'input' ? column.kind : column.kind === 'padding' ? 'padding' : row.kind;
      kinds.push(kind);
      values.push(kind === 'input' ? numbers.input[row.input * layer.input[1] + column.input]! : 0);
    }
  }
  return { size: [vertical.length, horizontal.length], kinds, values };
}

interface Place {
  readonly kind: CellKind;
  readonly input: number;
}

function classify(axis: Axis, place: number): Place {
  if (place < 0 || place >= insertedLength(axis)) return { kind: 'padding', input: -1 };
  return place % axis.stride === 0 ? { kind: 'input', input: place / axis.stride } : { kind: 'inserted', input: -1 };
}

/** The kernel turned by 180°: its rows and its columns in reverse, which is its list of numbers in reverse. */
export const turned = (kernel: readonly number[]): number[] => [...kernel].reverse();
