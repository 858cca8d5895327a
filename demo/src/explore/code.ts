/** The line that gives the same result, in four libraries; what one of them cannot say is told, not hidden. */
import { AXES, outputSize, type AxisIndex, type Layer, type Size } from './layer.ts';

export const LIBRARIES = ['ours', 'pytorch', 'tensorflow', 'onnx'] as const;
export type Library = (typeof LIBRARIES)[number];

export interface Code {
  /** Empty where the library has no way to say it. */
  readonly text: string;
  readonly note: string;
}

export function codeFor(library: Library, layer: Layer): Code {
  return { ours, pytorch, tensorflow, onnx }[library](layer);
}

const list = (size: Size): string => `[${size[0]}, ${size[1]}]`;
const isEverywhere = (size: Size, value: number): boolean => size[0] === value && size[1] === value;

/** The options that differ from their default, each as one word. */
function options(layer: Layer, form: (name: 'stride' | 'padding' | 'outputPadding' | 'dilation') => string): string[] {
  return (['stride', 'padding', 'outputPadding', 'dilation'] as const)
    .filter((name) => !isEverywhere(layer[name], name === 'stride' || name === 'dilation' ? 1 : 0))
    .map(form);
}

function ours(layer: Layer): Code {
  const pair = ([height, width]: Size): string => (height === width ? String(height) : list([height, width]));
  const given = options(layer, (name) => `${name}: ${pair(layer[name])}`);
  const tail = given.length === 0 ? '' : `, null, {\n  ${given.join(', ')},\n}`;
  return {
    text: `const output = await convTranspose2d(input, weight${tail});`,
    note: 'weight is (input channels, output channels, height, width), as in PyTorch. On the GPU where there is one, else on the CPU.',
  };
}

function pytorch(layer: Layer): Code {
  const pair = ([height, width]: Size): string => (height === width ? String(height) : `(${height}, ${width})`);
  const names = { stride: 'stride', padding: 'padding', outputPadding: 'output_padding', dilation: 'dilation' };
  const given = options(layer, (name) => `${names[name]}=${pair(layer[name])}`);
  return {
    text: `output = torch.nn.functional.conv_transpose2d(\n  ${['input', 'weight', ...given].join(', ')})`,
    note: 'The names of these options, and what they mean, come from PyTorch.',
  };
}

/** What a library with its own crop per side is told: output padding that it would refuse is a smaller crop at the end. */
export interface Crops {
  readonly before: Size;
  readonly after: Size;
  readonly extra: Size;
}

/**
 * TensorFlow and ONNX Runtime map the output back to the input, which holds for an output padding below the stride alone.
 * More of it (PyTorch allows it below the dilation) can still be said as a smaller crop, if there is as much to crop.
 */
export function cropsFor(layer: Layer): Crops | undefined {
  const asCrop = (axis: AxisIndex): boolean => layer.outputPadding[axis] >= layer.stride[axis];
  if (AXES.some((axis) => asCrop(axis) && layer.outputPadding[axis] > layer.padding[axis])) return undefined;
  const after = (axis: AxisIndex): number => layer.padding[axis] - (asCrop(axis) ? layer.outputPadding[axis] : 0);
  const extra = (axis: AxisIndex): number => (asCrop(axis) ? 0 : layer.outputPadding[axis]);
  return { before: layer.padding, after: [after(0), after(1)], extra: [extra(0), extra(1)] };
}

const TOO_MUCH_OUTPUT_PADDING = 'takes no output padding that reaches the stride and is more than what is cropped.';

function tensorflow(layer: Layer): Code {
  if (Math.max(...layer.stride) > 1 && Math.max(...layer.dilation) > 1) {
    return { text: '', note: 'TensorFlow cannot say this: it has no dilation together with a stride above 1.' };
  }
  const crops = cropsFor(layer);
  if (!crops) return { text: '', note: `TensorFlow cannot say this: it ${TOO_MUCH_OUTPUT_PADDING}` };
  const { before, after } = crops;
  const [height, width] = outputSize(layer);
  const none = isEverywhere(before, 0) && isEverywhere(after, 0);
  const padding = none ? '"VALID"' : `[[0, 0], [${before[0]}, ${after[0]}], [${before[1]}, ${after[1]}], [0, 0]]`;
  const dilations = isEverywhere(layer.dilation, 1) ? '' : `, dilations=${list(layer.dilation)}`;
  return {
    text:
      `output = tf.nn.conv2d_transpose(\n  input, filters, output_shape=[1, ${height}, ${width}, 1],\n` +
      `  strides=${list(layer.stride)}, padding=${padding}${dilations})`,
    note: 'Channels come last, and filters is (height, width, output channels, input channels). The output’s size is given, not computed: output padding is whatever it leaves over.',
  };
}

function onnx(layer: Layer): Code {
  const crops = cropsFor(layer);
  if (!crops) return { text: '', note: `ONNX Runtime cannot say this: it ${TOO_MUCH_OUTPUT_PADDING}` };
  const { before, after, extra } = crops;
  const attributes = [
    isEverywhere(layer.stride, 1) ? '' : `strides=${list(layer.stride)}`,
    isEverywhere(before, 0) ? '' : `pads=[${[...before, ...after].join(', ')}]`,
    isEverywhere(extra, 0) ? '' : `output_padding=${list(extra)}`,
    isEverywhere(layer.dilation, 1) ? '' : `dilations=${list(layer.dilation)}`,
  ].filter(Boolean);
  const more = attributes.length === 0 ? '' : `,\n  ${attributes.join(', ')}`;
  return {
    text: `node = onnx.helper.make_node(\n  "ConvTranspose", ["input", "weight"], ["output"]${more})`,
    note: 'The four pads are top, left, bottom, right; they are what PyTorch calls padding.',
  };
}
