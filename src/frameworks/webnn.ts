import { invalid } from '../invalid.ts';
import type { ConvTranspose2dOptions } from '../types.ts';
import * as attribute from './attributes.ts';

/** The members of WebNN's `MLConvTranspose2dOptions`, and the shapes of its operands. */
export interface WebNNAttributes {
  /** In `inputLayout`'s order. */
  readonly inputShape: readonly number[];
  /** In `filterLayout`'s order: i = all input channels, o = output channels of one group. */
  readonly filterShape: readonly number[];
  /** [top, bottom, left, right] */
  readonly padding?: readonly number[] | undefined;
  readonly strides?: readonly number[] | undefined;
  readonly dilations?: readonly number[] | undefined;
  readonly outputPadding?: readonly number[] | undefined;
  /** [height, width]; `outputPadding` is then ignored. */
  readonly outputSizes?: readonly number[] | undefined;
  readonly inputLayout?: 'nchw' | 'nhwc' | undefined;
  readonly filterLayout?: 'iohw' | 'hwoi' | 'ohwi' | undefined;
  readonly groups?: number | undefined;
}

const NAMES = [
  'inputShape',
  'filterShape',
  'padding',
  'strides',
  'dilations',
  'outputPadding',
  'outputSizes',
  'inputLayout',
  'filterLayout',
  'groups',
] as const;

const LARGEST = 2 ** 32 - 1;

/**
 * The options that give the result of WebNN's `convTranspose2d`.
 *
 * @throws ConvTranspose2dError INVALID_ARGUMENT for what WebNN refuses, naming the attribute
 */
export function fromWebNN(attributes: WebNNAttributes): ConvTranspose2dOptions {
  attribute.checkNames('WebNN', attributes, NAMES);
  const { outputPadding, outputSizes, groups: count = 1, padding = [0, 0, 0, 0] } = attributes;
  const { inputLayout: inputOrder = 'nchw', filterLayout: filterOrder = 'iohw' } = attributes;
  const layout = { nchw: 'NCHW', nhwc: 'NHWC' } as const;
  const inputLayout = layout[attribute.oneOf('inputLayout', inputOrder, ['nchw', 'nhwc'])];
  const weightLayout = { iohw: 'IOHW', hwoi: 'HWOI', ohwi: 'OHWI' } as const;
  const filterLayout = weightLayout[attribute.oneOf('filterLayout', filterOrder, ['iohw', 'hwoi', 'ohwi'])];
  const input = attribute.axes('inputShape', attributes.inputShape, inputLayout);
  const filter = attribute.axes('filterShape', attributes.filterShape, filterLayout);
  const groups = attribute.integer('groups', count, 1);
  attribute.checkChannels(input.C, ['filterShape', attributes.filterShape, filter.I], ['groups', groups]);
  const [top = 0, bottom = 0, left = 0, right = 0] = attribute.integers('padding', padding, [4], 0);
  const stride = attribute.listOfTwo('strides', attributes.strides, 1, 1);
  const dilation = attribute.listOfTwo('dilations', attributes.dilations, 1, 1);
  const extra = attribute.listOfTwo('outputPadding', outputPadding, 0, 0);
  const sizes = outputSizes === undefined ? undefined : attribute.listOfTwo('outputSizes', outputSizes, 1, 1);
  if (sizes === undefined && (extra[0] >= stride[0] || extra[1] >= stride[1])) {
    throw invalid('outputPadding', outputPadding, `it must be smaller than the strides ${stride.join(' and ')}`);
  }

  const axes = attribute.spatialAxes(input, filter, stride, dilation);
  const ends = [[top, bottom] as const, [left, right] as const] as const;
  const crop = (at: 0 | 1): attribute.Crop => {
    const axis = axes[at];
    const [head, tail] = ends[at];
    if (attribute.kernelExtent(axis) > LARGEST) {
      throw invalid('dilations', attributes.dilations, `a dilated kernel of ${axis.kernel} taps overflows 32 bits`);
    }
    const size = sizes?.[at];
    if (size === undefined) return { head, tail: tail - extra[at] };
    const least = attribute.fullSize(axis) - head - tail;
    if (size < least || size >= least + axis.stride) {
      throw invalid('outputSizes', outputSizes, `allowed on this axis are ${least} to ${least + axis.stride - 1}`);
    }
    return attribute.cropTo(axis, head, size);
  };
  return {
    stride,
    padding: attribute.paddingOf(axes, [crop(0), crop(1)], ['padding', padding]),
    groups,
    dilation,
    layout: inputLayout,
    weightLayout: filterLayout,
  };
}
