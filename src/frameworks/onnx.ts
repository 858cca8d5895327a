import { invalid } from '../invalid.ts';
import type { ConvTranspose2dOptions } from '../types.ts';
import * as attribute from './attributes.ts';

/** The attributes of ONNX's `ConvTranspose`, and the shapes of its tensors. */
export interface OnnxAttributes {
  /** (N, C, H, W) */
  readonly inputShape: readonly number[];
  /** (C, M / group, kH, kW) */
  readonly weightShape: readonly number[];
  readonly auto_pad?: 'NOTSET' | 'SAME_UPPER' | 'SAME_LOWER' | 'VALID' | undefined;
  readonly dilations?: readonly number[] | undefined;
  readonly group?: number | undefined;
  readonly kernel_shape?: readonly number[] | undefined;
  readonly output_padding?: readonly number[] | undefined;
  /** (H, W), or (N, C, H, W), whose first two are not looked at; -1 leaves an axis to be computed. */
  readonly output_shape?: readonly number[] | undefined;
  /** [top, left, bottom, right] */
  readonly pads?: readonly number[] | undefined;
  readonly strides?: readonly number[] | undefined;
}

const NAMES = [
  'inputShape',
  'weightShape',
  'auto_pad',
  'dilations',
  'group',
  'kernel_shape',
  'output_padding',
  'output_shape',
  'pads',
  'strides',
] as const;

/**
 * The options that give the result of ONNX's `ConvTranspose` as ONNX Runtime computes it.
 *
 * With `output_shape`, or with `auto_pad` SAME_UPPER or SAME_LOWER, the crop follows from the size, never below zero;
 * `output_padding` still enters it. An odd crop takes its extra row from the end with SAME_UPPER, else from the start.
 *
 * @throws ConvTranspose2dError INVALID_ARGUMENT for what ONNX Runtime refuses, naming the attribute
 */
export function fromOnnx(attributes: OnnxAttributes): ConvTranspose2dOptions {
  attribute.checkNames('ONNX', attributes, NAMES);
  const { auto_pad = 'NOTSET', group: groups = 1, output_padding } = attributes;
  const pads = attribute.unlessEmpty(attributes.pads);
  const output_shape = attribute.unlessEmpty(attributes.output_shape);
  const input = attribute.axes('inputShape', attributes.inputShape, 'NCHW');
  const weight = attribute.axes('weightShape', attributes.weightShape, 'IOHW');
  const group = attribute.integer('group', groups, 1);
  attribute.checkChannels(input.C, ['weightShape', attributes.weightShape, weight.I], ['group', group]);
  const { kernel_shape = [weight.H, weight.W] } = attributes;
  const [kernelH, kernelW] = attribute.integers('kernel_shape', kernel_shape, [2], 1);
  if (kernelH !== weight.H || kernelW !== weight.W) {
    throw invalid('kernel_shape', kernel_shape, `the weight's kernel is ${weight.H} x ${weight.W}`);
  }
  const stride = attribute.listOfTwoOrNone('strides', attributes.strides, 1, 1);
  const dilation = attribute.listOfTwoOrNone('dilations', attributes.dilations, 1, 1);
  const extra = attribute.listOfTwoOrNone('output_padding', output_padding, 0, 0);
  const autoPad = attribute.oneOf('auto_pad', auto_pad, ['NOTSET', 'SAME_UPPER', 'SAME_LOWER', 'VALID']);
  if (pads !== undefined && autoPad !== 'NOTSET') throw invalid('pads', pads, `auto_pad is '${autoPad}' already`);
  const [top = 0, left = 0, bottom = 0, right = 0] = attribute.integers('pads', pads ?? [0, 0, 0, 0], [4], 0);
  const asked = output_shape === undefined ? [-1, -1] : attribute.integers('output_shape', output_shape, [2, 4], -1);
  const [height = -1, width = -1] = asked.slice(-2);
  if (height === 0 || width === 0) throw invalid('output_shape', output_shape, 'a size must be positive');

  const axes = attribute.spatialAxes(input, weight, stride, dilation);
  const crop = (at: 0 | 1, given: number, begin: number, end: number): attribute.Crop => {
    const axis = axes[at];
    const padded = attribute.fullSize(axis) + extra[at];
    let [head, tail] = [begin, end];
    if (given !== -1 || autoPad === 'SAME_UPPER' || autoPad === 'SAME_LOWER') {
      const total = Math.max(padded - (given === -1 ? axis.input * axis.stride : given), 0);
      head = autoPad === 'SAME_UPPER' ? Math.floor(total / 2) : Math.ceil(total / 2);
      tail = total - head;
    }
    const length = given === -1 ? padded - head - tail : given;
    // ONNX Runtime maps the output back to the input, and refuses when it arrives elsewhere.
    const back = Math.floor((length + head + tail - attribute.kernelExtent(axis)) / axis.stride) + 1;
    if (length > 0 && back !== axis.input) {
      const name = given === -1 ? 'output_padding' : 'output_shape';
      throw invalid(name, attributes[name], `an output of ${length} belongs to an input of ${back}, not ${axis.input}`);
    }
    return attribute.cropTo(axis, head, length);
  };
  const crops = [crop(0, height, top, bottom), crop(1, width, left, right)] as const;
  return {
    stride,
    padding: attribute.paddingOf(axes, crops, ['pads', pads]),
    groups: group,
    dilation,
    layout: 'NCHW',
    weightLayout: 'IOHW',
  };
}
