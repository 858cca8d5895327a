/** A layer of one channel, small enough to look at, and the arithmetic of its sizes. Pairs are (height, width). */
import { shown } from '../words.ts';

export type Size = readonly [height: number, width: number];

export const PARAMETERS = ['input', 'kernel', 'stride', 'padding', 'outputPadding', 'dilation'] as const;
export type Parameter = (typeof PARAMETERS)[number];
export type Layer = Readonly<Record<Parameter, Size>>;

/** What can be chosen: still readable on a screen. */
export const BOUNDS: Readonly<Record<Parameter, readonly [least: number, most: number]>> = {
  input: [1, 6],
  kernel: [1, 5],
  stride: [1, 4],
  padding: [0, 6],
  outputPadding: [0, 3],
  dilation: [1, 3],
};

export const AXES = [0, 1] as const;
export type AxisIndex = (typeof AXES)[number];

/** One axis of the layer. */
export type Axis = Readonly<Record<Parameter, number>>;

export function axisOf(layer: Layer, axis: AxisIndex): Axis {
  const { input, kernel, stride, padding, outputPadding, dilation } = layer;
  return {
    input: input[axis],
    kernel: kernel[axis],
    stride: stride[axis],
    padding: padding[axis],
    outputPadding: outputPadding[axis],
    dilation: dilation[axis],
  };
}

/** From the first tap to the last, both included. */
export const kernelExtent = ({ kernel, dilation }: Axis): number => dilation * (kernel - 1) + 1;

/** The length before anything is cropped or added. */
export const fullLength = (axis: Axis): number => (axis.input - 1) * axis.stride + kernelExtent(axis);

export const outputLength = (axis: Axis): number => fullLength(axis) - 2 * axis.padding + axis.outputPadding;

const both = (layer: Layer, length: (axis: Axis) => number): Size => [
  length(axisOf(layer, 0)),
  length(axisOf(layer, 1)),
];

export const fullSize = (layer: Layer): Size => both(layer, fullLength);
export const outputSize = (layer: Layer): Size => both(layer, outputLength);

/** The formula of the output's length with its numbers filled in, as on paper. */
export function sizeFormula(axis: Axis): string {
  const { input, kernel, stride, padding, outputPadding, dilation } = axis;
  return (
    `(${input} − 1) · ${stride} − 2 · ${padding} + ${dilation} · (${kernel} − 1) + ${outputPadding} + 1` +
    ` = ${outputLength(axis)}`
  );
}

/** A layer that can be, closest to the one asked for, and in words what had to change. */
export interface Settled {
  readonly layer: Layer;
  readonly changes: readonly string[];
}

/** Every number within its bounds, the output padding below stride or dilation, and an output of at least 1 × 1. */
export function settle(asked: Layer): Settled {
  const axes = AXES.map((axis) => settleAxis(axisOf(asked, axis)));
  const [height, width] = axes as [Axis, Axis];
  const layer = Object.fromEntries(PARAMETERS.map((name) => [name, [height[name], width[name]]])) as unknown as Layer;
  const changes: string[] = [];
  if (layer.outputPadding.some((value, axis) => value < asked.outputPadding[axis as AxisIndex])) {
    changes.push(`Output padding is now ${shown(layer.outputPadding)}: it must be smaller than stride or dilation.`);
  }
  if (layer.padding.some((value, axis) => value < asked.padding[axis as AxisIndex])) {
    changes.push(`Padding is now ${shown(layer.padding)}: more would crop everything away.`);
  }
  return { layer, changes };
}

function settleAxis(asked: Axis): Axis {
  const within = { ...asked };
  for (const name of PARAMETERS) within[name] = clamp(asked[name], BOUNDS[name]);
  within.outputPadding = Math.min(within.outputPadding, Math.max(within.stride, within.dilation) - 1);
  within.padding = Math.min(within.padding, Math.floor((fullLength(within) + within.outputPadding - 1) / 2));
  return within;
}

const clamp = (value: number, [least, most]: readonly [number, number]): number =>
  Math.min(Math.max(value, least), most);
