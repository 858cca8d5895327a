import { invalid } from '../invalid.ts';
import type { ConvTranspose2dOptions, Pair } from '../types.ts';
import * as attribute from './attributes.ts';

/** The arguments of `keras.layers.Conv2DTranspose`, camelCased, and the shapes of its tensors. */
export interface KerasAttributes {
  /** In `dataFormat`'s order, batch included. */
  readonly inputShape: readonly number[];
  /** (height, width, output channels, input channels), whatever `dataFormat` is. */
  readonly kernelShape: readonly number[];
  readonly strides?: Pair | undefined;
  readonly padding: 'same' | 'valid';
  /** null: filled, so that 'same' multiplies the size by the stride. */
  readonly outputPadding?: null | Pair | undefined;
  readonly dataFormat?: 'channels_last' | 'channels_first' | undefined;
  readonly dilationRate?: Pair | undefined;
}

const NAMES = [
  'inputShape',
  'kernelShape',
  'strides',
  'padding',
  'outputPadding',
  'dataFormat',
  'dilationRate',
] as const;

/**
 * The options that give the result of `keras.layers.Conv2DTranspose` (Keras 3).
 *
 * @throws ConvTranspose2dError INVALID_ARGUMENT for what Keras refuses, naming the attribute
 */
export function fromKeras(attributes: KerasAttributes): ConvTranspose2dOptions {
  attribute.checkNames('Keras', attributes, NAMES);
  const { dataFormat = 'channels_last', outputPadding = null } = attributes;
  const format = attribute.oneOf('dataFormat', dataFormat, ['channels_last', 'channels_first']);
  const layout = format === 'channels_last' ? 'NHWC' : 'NCHW';
  const input = attribute.axes('inputShape', attributes.inputShape, layout);
  const kernel = attribute.axes('kernelShape', attributes.kernelShape, 'HWOI');
  attribute.checkChannels(input.C, ['kernelShape', attributes.kernelShape, kernel.I]);
  const stride = attribute.pairOf('strides', attributes.strides, 1, 1);
  const dilation = attribute.pairOf('dilationRate', attributes.dilationRate, 1, 1);
  if (Math.max(...stride) > 1 && Math.max(...dilation) > 1) {
    throw invalid('dilationRate', attributes.dilationRate, 'Keras has no dilation together with strides above 1');
  }
  const padding = attribute.oneOf('padding', attributes.padding, ['same', 'valid']);
  const extra = outputPadding === null ? null : attribute.pairOf('outputPadding', outputPadding, 0, 0);
  if (extra && (extra[0] >= stride[0] || extra[1] >= stride[1])) {
    throw invalid('outputPadding', outputPadding, `it must be smaller than the strides ${stride.join(' and ')}`);
  }

  const axes = attribute.spatialAxes(input, kernel, stride, dilation);
  const crops = [cropOf(axes[0], padding, extra?.[0]), cropOf(axes[1], padding, extra?.[1])] as const;
  return {
    stride,
    padding: attribute.paddingOf(axes, crops, ['outputPadding', outputPadding]),
    dilation,
    layout,
    weightLayout: 'HWOI',
  };
}

/**
 * Keras pads the zero-inserted input and then correlates; `before` and `after` are those zeros, and what they fall short of
 * a whole kernel is cropped.
 */
function cropOf(axis: attribute.Axis, padding: 'same' | 'valid', extra: number | undefined): attribute.Crop {
  const extent = attribute.kernelExtent(axis);
  if (padding === 'valid') {
    // Left out, the output padding fills a kernel that is smaller than its stride.
    return { head: 0, tail: -(extra ?? Math.max(axis.stride - extent, 0)) };
  }
  const total = extra === undefined ? axis.stride + extent - 2 : extent + (extent % 2) - 2 + extra;
  const before = Math.min(Math.ceil(total / 2), extent - 1);
  const after = total - before;
  return { head: extent - 1 - before, tail: extent - 1 - after };
}
