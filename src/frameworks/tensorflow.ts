import { invalid } from '../invalid.ts';
import type { ConvTranspose2dOptions } from '../types.ts';
import * as attribute from './attributes.ts';

/** The arguments of `tf.nn.conv2d_transpose`, camelCased, and the shapes of its tensors. */
export interface TensorFlowAttributes {
  /** In `dataFormat`'s order. */
  readonly inputShape: readonly number[];
  /** (height, width, output channels, input channels), whatever `dataFormat` is. */
  readonly filterShape: readonly number[];
  /** In `dataFormat`'s order, or (height, width) alone. */
  readonly outputShape: readonly number[];
  /** One number, (height, width), or four in `dataFormat`'s order. */
  readonly strides: number | readonly number[];
  /** Explicit padding is [before, after] of each axis, in `dataFormat`'s order. */
  readonly padding: 'SAME' | 'VALID' | readonly (readonly [before: number, after: number])[];
  readonly dataFormat?: 'NHWC' | 'NCHW' | undefined;
  /** As `strides`; 1 when left out. */
  readonly dilations?: number | readonly number[] | undefined;
}

const NAMES = ['inputShape', 'filterShape', 'outputShape', 'strides', 'padding', 'dataFormat', 'dilations'] as const;

/**
 * The options that give the result of `tf.nn.conv2d_transpose`.
 *
 * The padding is that of the forward convolution which maps the output to the input, so `outputShape` is checked against
 * the input, and an odd crop takes its extra row from the end.
 *
 * @throws ConvTranspose2dError INVALID_ARGUMENT for what TensorFlow refuses, naming the attribute
 */
export function fromTensorFlow(attributes: TensorFlowAttributes): ConvTranspose2dOptions {
  attribute.checkNames('TensorFlow', attributes, NAMES);
  const { dataFormat = 'NHWC', dilations = 1 } = attributes;
  const layout = attribute.oneOf('dataFormat', dataFormat, ['NHWC', 'NCHW']);
  const input = attribute.axes('inputShape', attributes.inputShape, layout);
  const filter = attribute.axes('filterShape', attributes.filterShape, 'HWOI');
  attribute.checkChannels(input.C, ['filterShape', attributes.filterShape, filter.I]);
  const output = outputAxes(attributes.outputShape, layout, input.N, filter.O);
  const stride = perAxis('strides', attributes.strides, layout);
  const dilation = perAxis('dilations', dilations, layout);
  if (Math.max(...stride) > 1 && Math.max(...dilation) > 1) {
    throw invalid('dilations', dilations, 'TensorFlow has no dilation together with strides above 1');
  }

  const explicit = explicitPadding(attributes.padding, layout);
  const axes = attribute.spatialAxes(input, filter, stride, dilation);
  const crop = (axis: attribute.Axis, size: number, before: number, after: number): attribute.Crop => {
    const extent = attribute.kernelExtent(axis);
    const same = attributes.padding === 'SAME';
    // The forward convolution must map the output back to the input.
    const forward = Math.floor(((same ? size : size + before + after - extent + 1) + axis.stride - 1) / axis.stride);
    if (forward !== axis.input) {
      throw invalid(
        'outputShape',
        attributes.outputShape,
        `an output of ${size} belongs to an input of ${forward}, not ${axis.input} (kernel ${axis.kernel}, stride ${axis.stride}, dilation ${axis.dilation}, padding ${same ? 'SAME' : `${before} and ${after}`})`,
      );
    }
    const total = Math.max(attribute.fullSize(axis) - size, 0);
    return attribute.cropTo(axis, same ? Math.floor(total / 2) : before, size);
  };
  const crops = [
    crop(axes[0], output.H, explicit.top, explicit.bottom),
    crop(axes[1], output.W, explicit.left, explicit.right),
  ] as const;
  return {
    stride,
    padding: attribute.paddingOf(axes, crops, ['outputShape', attributes.outputShape]),
    dilation,
    layout,
    weightLayout: 'HWOI',
  };
}

function outputAxes(shape: unknown, layout: 'NHWC' | 'NCHW', batch: number, channels: number): attribute.Sizes {
  if (Array.isArray(shape) && shape.length === 2) return attribute.axes('outputShape', shape, 'HW');
  const output = attribute.axes('outputShape', shape, layout);
  if (output.N !== batch) throw invalid('outputShape', shape, `the input has a batch of ${batch}`);
  if (output.C !== channels) throw invalid('outputShape', shape, `the filter has ${channels} output channels`);
  return output;
}

/** One number, (height, width), or four in the order of the layout, where batch and channels must be 1. */
function perAxis(name: string, value: unknown, layout: 'NHWC' | 'NCHW'): readonly [number, number] {
  if (typeof value === 'number') return attribute.pairOf(name, value, 1, 1);
  const list = attribute.integers(name, value, [1, 2, 4], 1);
  if (list.length === 4) {
    const { N, C, H, W } = attribute.axes(name, list, layout);
    if (N !== 1 || C !== 1) throw invalid(name, value, 'batch and channels must be 1');
    return [H, W];
  }
  const [height = 1, width = height] = list;
  return [height, width];
}

function explicitPadding(
  padding: unknown,
  layout: 'NHWC' | 'NCHW',
): { top: number; bottom: number; left: number; right: number } {
  if (padding === 'SAME' || padding === 'VALID') return { top: 0, bottom: 0, left: 0, right: 0 };
  if (!Array.isArray(padding) || padding.length !== 4) {
    throw invalid('padding', padding, "'SAME', 'VALID' or [before, after] of each of the four axes is needed");
  }
  const side = (axis: string): number[] => attribute.integers('padding', padding[layout.indexOf(axis)], [2], 0);
  if ([...side('N'), ...side('C')].some((size) => size !== 0)) {
    throw invalid('padding', padding, 'batch and channels cannot be padded');
  }
  const [top = 0, bottom = 0] = side('H');
  const [left = 0, right = 0] = side('W');
  return { top, bottom, left, right };
}
