import { invalid } from '../invalid.ts';

const MOST = 2 ** 31 - 1;

/** Refuses what is no record of attributes, and names that the framework does not have. */
export function checkNames(framework: string, attributes: unknown, names: readonly string[]): void {
  if (typeof attributes !== 'object' || attributes === null || Array.isArray(attributes)) {
    throw invalid('attributes', attributes, `an object of ${framework} attributes is needed`);
  }
  for (const [name, value] of Object.entries(attributes)) {
    if (!names.includes(name)) throw invalid(name, value, `known ${framework} attributes are ${names.join(', ')}`);
  }
}

/** An integer from `least` on. */
export function integer(name: string, value: unknown, least: number): number {
  if (typeof value !== 'number' || !Number.isInteger(value) || value < least || value > MOST) {
    throw invalid(name, value, `an integer from ${least} to ${MOST} is needed`);
  }
  return value;
}

/** A list of integers from `least` on, of one of the lengths. */
export function integers(name: string, value: unknown, lengths: readonly number[], least: number): number[] {
  if (!Array.isArray(value) || !lengths.includes(value.length)) {
    throw invalid(name, value, `a list of ${lengths.join(' or ')} integers is needed`);
  }
  if (!value.every((entry) => Number.isInteger(entry) && entry >= least && entry <= MOST)) {
    throw invalid(name, value, `its entries must be integers from ${least} to ${MOST}`);
  }
  return value as number[];
}

/** (height, width), or `otherwise` when left out. */
export function listOfTwo(
  name: string,
  value: unknown,
  otherwise: number,
  least: number,
): readonly [height: number, width: number] {
  if (value === undefined) return [otherwise, otherwise];
  const [height = otherwise, width = otherwise] = integers(name, value, [2], least);
  return [height, width];
}

/** The list, or undefined for an empty one, which is how some frameworks and their files have one that is left out. */
export function unlessEmpty<T>(value: T): T | undefined {
  return Array.isArray(value) && value.length === 0 ? undefined : value;
}

/** The same, where an empty list too is one that is left out. */
export function listOfTwoOrNone(
  name: string,
  value: unknown,
  otherwise: number,
  least: number,
): readonly [height: number, width: number] {
  return listOfTwo(name, unlessEmpty(value), otherwise, least);
}

/** One number for both axes or (height, width), or `otherwise` when left out. */
export function pairOf(
  name: string,
  value: unknown,
  otherwise: number,
  least: number,
): readonly [height: number, width: number] {
  if (typeof value !== 'number') return listOfTwo(name, value, otherwise, least);
  const both = integer(name, value, least);
  return [both, both];
}

/** One of the words. */
export function oneOf<const Word extends string>(name: string, value: unknown, words: readonly Word[]): Word {
  const word = words.find((known) => known === value);
  if (word === undefined) throw invalid(name, value, `known are ${words.map((known) => `'${known}'`).join(', ')}`);
  return word;
}

/** Sizes by axis: batch, channels, input and output channels of a filter, height, width. 1 where a shape has no such axis. */
export interface Sizes {
  readonly N: number;
  readonly C: number;
  readonly I: number;
  readonly O: number;
  readonly H: number;
  readonly W: number;
}

/** The sizes of the axes that `layout` names in their order, e.g. 'NHWC'; only the batch may be 0. */
export function axes(name: string, shape: unknown, layout: string): Sizes {
  const sizes = integers(name, shape, [layout.length], 0);
  const named = { N: 1, C: 1, I: 1, O: 1, H: 1, W: 1 };
  sizes.forEach((size, at) => {
    const axis = layout[at] as keyof Sizes;
    if (size === 0 && axis !== 'N') throw invalid(name, shape, 'only the batch may be 0');
    named[axis] = size;
  });
  return named;
}

/** One spatial axis of a layer: input size, kernel size, stride and dilation. */
export interface Axis {
  readonly input: number;
  readonly kernel: number;
  readonly stride: number;
  readonly dilation: number;
}

/** The two spatial axes, height first. */
export function spatialAxes(
  input: Sizes,
  kernel: Sizes,
  stride: readonly [number, number],
  dilation: readonly [number, number],
): readonly [Axis, Axis] {
  return [
    { input: input.H, kernel: kernel.H, stride: stride[0], dilation: dilation[0] },
    { input: input.W, kernel: kernel.W, stride: stride[1], dilation: dilation[1] },
  ];
}

/** Distance from the first tap to the last, both included. */
export function kernelExtent({ kernel, dilation }: Axis): number {
  return dilation * (kernel - 1) + 1;
}

/** The size with nothing cropped. */
export function fullSize(axis: Axis): number {
  return axis.stride * (axis.input - 1) + kernelExtent(axis);
}

/** What is cropped at the start and at the end; negative adds beyond the full result. */
export interface Crop {
  readonly head: number;
  readonly tail: number;
}

/** The crop that leaves `size` positions from `head` on. */
export function cropTo(axis: Axis, head: number, size: number): Crop {
  return { head, tail: fullSize(axis) - head - size };
}

/** The option `padding` of two crops, height first. `blame` names the attribute when nothing is left of an axis. */
export function paddingOf(
  axes: readonly [Axis, Axis],
  crops: readonly [Crop, Crop],
  blame: readonly [name: string, value: unknown],
): readonly [top: number, left: number, bottom: number, right: number] {
  const height = fullSize(axes[0]) - crops[0].head - crops[0].tail;
  const width = fullSize(axes[1]) - crops[1].head - crops[1].tail;
  if (height < 1 || width < 1) throw invalid(...blame, `it leaves an output of ${height} x ${width}`);
  return [crops[0].head, crops[1].head, crops[0].tail, crops[1].tail];
}

/** Refuses channels that the input and the filter disagree on, or that the groups do not divide. */
export function checkChannels(
  input: number,
  filter: readonly [name: string, shape: unknown, channels: number],
  groups?: readonly [name: string, count: number],
): void {
  const [name, shape, channels] = filter;
  if (channels !== input) throw invalid(name, shape, `it has ${channels} input channels, the input has ${input}`);
  if (groups && input % groups[1] !== 0) throw invalid(...groups, `it must divide the ${input} input channels`);
}
