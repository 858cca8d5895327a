/** A small transposed convolution with addresses of its own: what a kernel is given, whatever it was cut from. */
import { addressesOf, type Addresses } from './layouts.ts';
import { cutAxis, type Cut, type Range, type Whole } from './cuts.ts';
import { axisGeometry, type Axis } from './geometry.ts';
import { packedElements, paddedInChannels, paddedOutChannels } from './packing.ts';

/** A transposed convolution with every address and index explicit: what one dispatch computes. */
export interface Problem {
  readonly batch: number;
  readonly groups: number;
  /** Of one group, as `outChannels`. */
  readonly inChannels: number;
  readonly outChannels: number;
  readonly rows: Axis;
  readonly columns: Axis;
  readonly input: Addresses;
  readonly output: Addresses;
  /** Of the packed weights, [group][kernel row][kernel column][input channel][output channel], of `elements` in all. */
  readonly weight: Record<'elements' | 'base' | 'group' | 'tap' | 'channel', number>;
  readonly bias: { readonly base: number; readonly group: number };
  /** Whether sums start from the bias, rather than from what an earlier problem left in the output. */
  readonly begins: boolean;
  /** Whether the sums are complete: the activation is applied. */
  readonly finishes: boolean;
}

/** Kernels count addresses in 32 bits, and a base may lie before its binding. */
const wrap = (value: number): number => ((value % 2 ** 32) + 2 ** 32) % 2 ** 32;

/** What a cut leaves to compute, by addresses in the ranges that it binds. */
export function problemOf(whole: Whole, cut: Cut, bound: { readonly input: Range; readonly output: Range }): Problem {
  const { spec, input, output, rows, columns, elementBytes } = whole;
  const { batch, groups, inChannels, outChannels } = cut;
  const inputAddresses = addressesOf(spec, spec.inChannels, [input.height, input.width]);
  const outputAddresses = addressesOf(spec, spec.outChannels, output);
  const base = (a: Addresses, channel: number, row: number, { offset }: Range): number =>
    wrap(batch.from * a.batch + groups.from * a.group + channel * a.channel + row * a.row - offset / elementBytes);
  const [ins, outs] = [spec.inChannels / spec.groups, spec.outChannels / spec.groups];
  const padded = paddedOutChannels(spec);
  const tap = paddedInChannels(spec) * padded;
  const group = spec.kernelSize[0] * spec.kernelSize[1] * tap;
  return {
    batch: batch.count,
    groups: groups.count,
    inChannels: inChannels.count,
    outChannels: outChannels.count,
    rows: axisGeometry(cutAxis(rows, cut.rows)),
    columns: axisGeometry(columns),
    // Input rows are numbered from the tensor's own first row, output rows from the cut's.
    input: { ...inputAddresses, base: base(inputAddresses, inChannels.from, 0, bound.input) },
    output: { ...outputAddresses, base: base(outputAddresses, outChannels.from, cut.rows.from, bound.output) },
    weight: {
      elements: packedElements(spec),
      base: groups.from * group + inChannels.from * padded + outChannels.from,
      group,
      tap,
      channel: padded,
    },
    bias: { base: groups.from * outs + outChannels.from, group: outs },
    begins: inChannels.from === 0,
    finishes: inChannels.from + inChannels.count === ins,
  };
}
