/** Layouts, read letter by letter: extents in a layout's order, and strides. */
import type { Size, Spec } from './options.ts';
import { elementCount } from './tensors.ts';

type Axis = 'N' | 'C' | 'I' | 'O' | 'H' | 'W';

/** Extents in a layout's order. */
export const inOrder = (layout: string, extents: Readonly<Partial<Record<Axis, number>>>): number[] =>
  Array.from(layout, (axis) => extents[axis as Axis]!);

/** The extents of a shape that has all axes of a layout. */
export const byAxis = (layout: string, shape: readonly number[]): Record<Axis, number> =>
  Object.fromEntries(Array.from(layout, (axis, at) => [axis, shape[at]])) as Record<Axis, number>;

/** Elements between neighbours along an axis. */
const strideOf = (layout: string, shape: readonly number[], axis: Axis): number =>
  elementCount(shape.slice(layout.indexOf(axis) + 1));

/** The weight's shape in its own layout. */
export const weightShape = ({ weightLayout, inChannels, outChannels, groups, kernelSize: [H, W] }: Spec): number[] =>
  inOrder(weightLayout, { I: inChannels, O: outChannels / groups, H, W });

/** Elements between neighbours of the weight tensor: input channel, output channel, row, column. */
export function weightStrides(spec: Spec): { i: number; o: number; h: number; w: number } {
  const shape = weightShape(spec);
  const stride = (axis: Axis): number => strideOf(spec.weightLayout, shape, axis);
  return { i: stride('I'), o: stride('O'), h: stride('H'), w: stride('W') };
}

/** The strides of a tensor's dimensions, in elements, and the index of its first element. */
export interface Addresses {
  readonly base: number;
  readonly batch: number;
  readonly group: number;
  readonly channel: number;
  readonly row: number;
  readonly column: number;
}

/** Those of an input or an output in the spec's layout. */
export function addressesOf({ layout, groups }: Spec, channels: number, [H, W]: Size): Addresses {
  const shape = inOrder(layout, { N: 1, C: channels, H, W });
  const stride = (axis: Axis): number => strideOf(layout, shape, axis);
  const channel = stride('C');
  return {
    base: 0,
    batch: stride('N'),
    group: (channels / groups) * channel,
    channel,
    row: stride('H'),
    column: stride('W'),
  };
}
