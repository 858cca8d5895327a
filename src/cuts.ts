/** Cutting a call until every part's tensors fit a binding: by batch, groups, channels or rows. */
import { addressesOf, type Addresses } from './layouts.ts';
import type { Limits } from './capabilities.ts';
import { ConvTranspose2dError } from './errors.ts';
import { roundUp, type AxisParameters } from './geometry.ts';
import type { InputExtents, Size, Spec } from './options.ts';

/** A call before it is cut. */
export interface Whole {
  readonly spec: Spec;
  readonly input: InputExtents;
  readonly output: Size;
  readonly rows: AxisParameters;
  readonly columns: AxisParameters;
  /** The size of an input or output element as kernels read and write it. */
  readonly elementBytes: 2 | 4;
}

/** Numbers [from, from + count). */
interface Interval {
  readonly from: number;
  readonly count: number;
}

/** What a part takes of each dimension. */
export interface Cut {
  readonly batch: Interval;
  readonly groups: Interval;
  /** Within a group; whole unless the cut has one group. */
  readonly inChannels: Interval;
  readonly outChannels: Interval;
  /** Of the output. */
  readonly rows: Interval;
}

/** Part of a tensor, counted from its own first byte or element. */
export interface Range {
  readonly offset: number;
  readonly size: number;
}

/** The most parts that a call is cut into. */
const MOST_PARTS = 4096;

export function wholeCut({ spec, input, output }: Whole): Cut {
  return {
    batch: { from: 0, count: input.batch },
    groups: { from: 0, count: spec.groups },
    inChannels: { from: 0, count: spec.inChannels / spec.groups },
    outChannels: { from: 0, count: spec.outChannels / spec.groups },
    rows: { from: 0, count: output[0] },
  };
}

/** Cuts a call into parts that fit, in the order in which they run. @throws ConvTranspose2dError UNSUPPORTED */
export function cutToFit(whole: Whole, limits: Limits): Cut[] {
  const limit = limits.maxStorageBufferBindingSize;
  const done: Cut[] = [];
  const todo = whole.input.batch === 0 ? [] : [wholeCut(whole)];
  for (let cut = todo.pop(); cut !== undefined; cut = todo.pop()) {
    const ranges = rangesOf(whole, cut, limits);
    const over = (['input', 'output'] as const).find((name) => ranges[name].size > limit);
    if (over === undefined) {
      done.push(cut);
      continue;
    }
    const pieces = halve(whole.spec, cut, over);
    if (pieces === undefined || done.length + todo.length > MOST_PARTS) {
      const why = pieces === undefined ? 'it cannot be cut further' : `it would take more than ${MOST_PARTS} parts`;
      throw new ConvTranspose2dError(
        'UNSUPPORTED',
        `${over} takes ${ranges[over].size} bytes in one binding, the device allows ${limit}, and ${why}`,
      );
    }
    todo.push(...pieces.reverse());
  }
  return done;
}

/** Cuts along the dimension that lies outermost in memory. */
function halve(spec: Spec, cut: Cut, over: 'input' | 'output'): Cut[] | undefined {
  const along = (dimension: keyof Cut): Cut[] | undefined =>
    cut[dimension].count > 1
      ? halves(cut[dimension]).map((interval) => ({ ...cut, [dimension]: interval }))
      : undefined;
  if (spec.layout === 'NHWC') return along('batch') ?? along('rows');
  return along('batch') ?? along('groups') ?? along(over === 'input' ? 'inChannels' : 'outChannels') ?? along('rows');
}

/** Two halves, the first a multiple of 4 if possible: kernels read channels in fours. */
function halves({ from, count }: Interval): Interval[] {
  const half = Math.ceil(count / 2);
  const first = count > 4 ? Math.min(roundUp(half, 4), count - 1) : half;
  return [
    { from, count: first },
    { from: from + first, count: count - first },
  ];
}

/** The bytes of input and output that a cut binds. */
export function rangesOf(whole: Whole, cut: Cut, limits: Limits): { readonly input: Range; readonly output: Range } {
  const { spec, input, output, rows, elementBytes } = whole;
  const alignment = limits.minStorageBufferOffsetAlignment;
  const channels = (all: number, { from, count }: Interval): Interval => {
    const perGroup = all / spec.groups;
    return cut.groups.count > 1
      ? { from: cut.groups.from * perGroup, count: cut.groups.count * perGroup }
      : { from: cut.groups.from * perGroup + from, count };
  };
  const [first, last] = inputsRead(cutAxis(rows, cut.rows));
  const inputRows = { from: first, count: last - first + 1 };
  const inputAddresses = addressesOf(spec, spec.inChannels, [input.height, input.width]);
  const outputAddresses = addressesOf(spec, spec.outChannels, output);
  const bound = (addresses: Addresses, ...box: [channels: Interval, rows: Interval, width: number]): Range =>
    binding(touched(addresses, cut.batch, ...box), elementBytes, alignment);
  return {
    input: bound(inputAddresses, channels(spec.inChannels, cut.inChannels), inputRows, input.width),
    output: bound(outputAddresses, channels(spec.outChannels, cut.outChannels), cut.rows, output[1]),
  };
}

/** Rows of an axis cut off: the same axis with more cropped before its first output, and fewer outputs. */
export const cutAxis = (axis: AxisParameters, rows: Interval): AxisParameters => ({
  ...axis,
  padding: axis.padding + rows.from,
  output: rows.count,
});

/** The first and the last input that an axis reads; [0, 0] if it reads none, since a binding cannot be empty. */
function inputsRead(axis: AxisParameters): readonly [number, number] {
  const reach = axis.dilation * (axis.kernel - 1);
  const first = Math.max(0, Math.ceil((axis.padding - reach) / axis.stride));
  const last = Math.min(axis.input - 1, Math.floor((axis.padding + axis.output - 1) / axis.stride));
  return first <= last ? [first, last] : [0, 0];
}

/** The elements [from, to) of a tensor that a box of it spans, from its first element to its last. */
function touched(
  addresses: Addresses,
  batch: Interval,
  channels: Interval,
  rows: Interval,
  width: number,
): { from: number; to: number } {
  const { batch: image, channel, row, column } = addresses;
  return {
    from: batch.from * image + channels.from * channel + rows.from * row,
    to:
      (batch.from + Math.max(0, batch.count - 1)) * image +
      (channels.from + channels.count - 1) * channel +
      (rows.from + rows.count - 1) * row +
      (width - 1) * column +
      1,
  };
}

/** A binding that covers elements [from, to): its offset aligned down, its size in whole words. */
function binding({ from, to }: { from: number; to: number }, elementBytes: number, alignment: number): Range {
  const offset = Math.floor((from * elementBytes) / alignment) * alignment;
  return { offset, size: roundUp(to * elementBytes - offset, 4) };
}

/** Pieces of a list of elements for the passes that convert float16: aligned, and each within a binding at 4 bytes an element. */
export function linearPieces(elements: number, limits: Limits): Range[] {
  const most = Math.floor(limits.maxStorageBufferBindingSize / 4 / limits.minStorageBufferOffsetAlignment);
  const piece = most * limits.minStorageBufferOffsetAlignment;
  return Array.from({ length: Math.ceil(elements / piece) }, (_, i) => ({
    offset: i * piece,
    size: Math.min(piece, elements - i * piece),
  }));
}
