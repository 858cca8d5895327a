import { invalid } from '../invalid.ts';
import type { ConvTranspose2dOptions } from '../types.ts';
import * as attribute from './attributes.ts';

/** The parameters of MXNet's `Deconvolution`, and the shape of its input. */
export interface MxnetAttributes {
  /** (N, C, H, W) */
  readonly inputShape: readonly number[];
  readonly kernel: readonly number[];
  readonly stride?: readonly number[] | undefined;
  readonly dilate?: readonly number[] | undefined;
  readonly pad?: readonly number[] | undefined;
  readonly adj?: readonly number[] | undefined;
  /** (H, W); `pad` and `adj` are then ignored. (0, 0) is as if left out, and so is any empty list. */
  readonly target_shape?: readonly number[] | undefined;
  readonly num_filter: number;
  readonly num_group?: number | undefined;
}

const NAMES = [
  'inputShape',
  'kernel',
  'stride',
  'dilate',
  'pad',
  'adj',
  'target_shape',
  'num_filter',
  'num_group',
] as const;

/**
 * The options that give the result of MXNet's `Deconvolution`.
 *
 * @throws ConvTranspose2dError INVALID_ARGUMENT for what MXNet refuses, naming the attribute
 */
export function fromMxnet(attributes: MxnetAttributes): ConvTranspose2dOptions {
  attribute.checkNames('MXNet', attributes, NAMES);
  const { num_group = 1 } = attributes;
  const input = attribute.axes('inputShape', attributes.inputShape, 'NCHW');
  const kernel = attribute.axes('kernel', attributes.kernel, 'HW');
  const stride = attribute.listOfTwoOrNone('stride', attributes.stride, 1, 1);
  const dilation = attribute.listOfTwoOrNone('dilate', attributes.dilate, 1, 1);
  const filters = attribute.integer('num_filter', attributes.num_filter, 1);
  const groups = attribute.integer('num_group', num_group, 1);
  if (filters % groups !== 0) throw invalid('num_filter', filters, `num_group ${groups} must divide it`);
  if (input.C % groups !== 0) throw invalid('num_group', groups, `it must divide the ${input.C} input channels`);

  const axes = attribute.spatialAxes(input, kernel, stride, dilation);
  const target = attribute.listOfTwoOrNone('target_shape', attributes.target_shape, 0, 0);
  const crops = target.some((size) => size !== 0) ? cropsTo(axes, target) : cropsOf(axes, attributes);
  return {
    stride,
    padding: attribute.paddingOf(axes, crops, ['pad', attributes.pad]),
    groups,
    dilation,
    layout: 'NCHW',
    weightLayout: 'IOHW',
  };
}

/** `target_shape`: both ends are cropped by half of what is too much, rounded up, and `adj` gives back the odd one. */
function cropsTo(
  axes: readonly [attribute.Axis, attribute.Axis],
  target: readonly [number, number],
): readonly [attribute.Crop, attribute.Crop] {
  const crop = (axis: attribute.Axis, size: number): attribute.Crop => {
    const full = attribute.fullSize(axis);
    if (size < 1 || size > full) throw invalid('target_shape', target, `allowed on this axis are 1 to ${full}`);
    if ((full - size) % 2 >= axis.stride) {
      throw invalid('target_shape', target, `with stride 1 it must differ from ${full} by an even number`);
    }
    return attribute.cropTo(axis, Math.ceil((full - size) / 2), size);
  };
  return [crop(axes[0], target[0]), crop(axes[1], target[1])];
}

function cropsOf(
  axes: readonly [attribute.Axis, attribute.Axis],
  attributes: MxnetAttributes,
): readonly [attribute.Crop, attribute.Crop] {
  const pad = attribute.listOfTwoOrNone('pad', attributes.pad, 0, 0);
  const adj = attribute.listOfTwoOrNone('adj', attributes.adj, 0, 0);
  const crop = (axis: attribute.Axis, at: 0 | 1): attribute.Crop => {
    if (adj[at] >= axis.stride) throw invalid('adj', adj, `it must be smaller than the stride ${axis.stride}`);
    return { head: pad[at], tail: pad[at] - adj[at] };
  };
  return [crop(axes[0], 0), crop(axes[1], 1)];
}
