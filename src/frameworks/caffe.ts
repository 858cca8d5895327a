import { invalid } from '../invalid.ts';
import type { ConvTranspose2dOptions } from '../types.ts';
import * as attribute from './attributes.ts';

/** The `convolution_param` of Caffe's `Deconvolution`. A repeated field is one number, or a list of one or two; an empty one is left out. */
export interface CaffeAttributes {
  readonly num_output: number;
  readonly kernel_size?: number | readonly number[] | undefined;
  readonly kernel_h?: number | undefined;
  readonly kernel_w?: number | undefined;
  readonly stride?: number | readonly number[] | undefined;
  readonly stride_h?: number | undefined;
  readonly stride_w?: number | undefined;
  readonly pad?: number | readonly number[] | undefined;
  readonly pad_h?: number | undefined;
  readonly pad_w?: number | undefined;
  readonly dilation?: number | readonly number[] | undefined;
  readonly group?: number | undefined;
}

const NAMES = [
  'num_output',
  'kernel_size',
  'kernel_h',
  'kernel_w',
  'stride',
  'stride_h',
  'stride_w',
  'pad',
  'pad_h',
  'pad_w',
  'dilation',
  'group',
] as const;

/**
 * The options that give the result of Caffe's `Deconvolution`.
 *
 * @throws ConvTranspose2dError INVALID_ARGUMENT for what Caffe refuses, naming the attribute
 */
export function fromCaffe(attributes: CaffeAttributes): ConvTranspose2dOptions {
  attribute.checkNames('Caffe', attributes, NAMES);
  const outputs = attribute.integer('num_output', attributes.num_output, 1);
  const { group: groups = 1, kernel_h, kernel_w } = attributes;
  const group = attribute.integer('group', groups, 1);
  if (outputs % group !== 0) throw invalid('num_output', outputs, `group ${group} must divide it`);
  if (attribute.unlessEmpty(attributes.kernel_size) === undefined && kernel_h === undefined && kernel_w === undefined) {
    throw invalid('kernel_size', undefined, 'kernel_size, or kernel_h and kernel_w, is needed');
  }
  // The kernel's own size comes with the weight; here it is only checked.
  either(attributes, 'kernel_size', 'kernel_h', 'kernel_w', 1, 1);
  return {
    stride: either(attributes, 'stride', 'stride_h', 'stride_w', 1, 1),
    padding: either(attributes, 'pad', 'pad_h', 'pad_w', 0, 0),
    groups: group,
    dilation: repeated('dilation', attributes.dilation, 1, 1),
    layout: 'NCHW',
    weightLayout: 'IOHW',
  };
}

/** The pair of a field for both axes, or of the fields of one axis each, of which one that is left out counts as 0. */
function either(
  attributes: CaffeAttributes,
  both: 'kernel_size' | 'stride' | 'pad',
  height: 'kernel_h' | 'stride_h' | 'pad_h',
  width: 'kernel_w' | 'stride_w' | 'pad_w',
  otherwise: number,
  least: number,
): readonly [number, number] {
  if (attributes[height] === undefined && attributes[width] === undefined) {
    return repeated(both, attributes[both], otherwise, least);
  }
  if (attribute.unlessEmpty(attributes[both]) !== undefined) {
    throw invalid(both, attributes[both], `${both} or ${height} and ${width} can be given, not both`);
  }
  const { [height]: ownHeight = 0, [width]: ownWidth = 0 } = attributes;
  return [attribute.integer(height, ownHeight, least), attribute.integer(width, ownWidth, least)];
}

function repeated(name: string, value: unknown, otherwise: number, least: number): readonly [number, number] {
  if (Array.isArray(value) && value.length === 1) return attribute.pairOf(name, value[0], otherwise, least);
  return attribute.pairOf(name, attribute.unlessEmpty(value), otherwise, least);
}
