/** Random layers for fast-check: any legal options on small shapes, favouring what breaks kernels. */
import fc from 'fast-check';
import type { ConvTranspose2dOptions, HostTensor, Padding } from '../../src/types.ts';
import { integerTensor } from './tensors.ts';

export interface Layer {
  readonly input: HostTensor;
  readonly weight: HostTensor;
  readonly bias: HostTensor | undefined;
  readonly options: ConvTranspose2dOptions;
}

export interface Limits {
  /** Largest absolute value of the data: integers. */
  readonly most?: number;
  /** 'none' keeps the layer linear; 'exact' admits activations that are exact on integers. */
  readonly activations?: 'none' | 'exact';
}

// Favoured: 1, primes, and the channel counts that vectors of 4 leave over.
const channels = fc.constantFrom(1, 1, 2, 3, 3, 4, 5, 5, 7, 8);
const groups = fc.constantFrom(1, 1, 1, 2, 3, 5);
const inputSize = fc.constantFrom(1, 1, 2, 3, 4, 5, 7);

/** One spatial axis with its crop. Kernels below the stride, and stride and dilation with a common factor, are frequent. */
const axis = fc
  .record({
    input: inputSize,
    kernel: fc.integer({ min: 1, max: 5 }),
    strides: fc.oneof(
      fc.record({ stride: fc.integer({ min: 1, max: 4 }), dilation: fc.integer({ min: 1, max: 3 }) }),
      fc.constantFrom({ stride: 2, dilation: 2 }, { stride: 3, dilation: 3 }, { stride: 4, dilation: 2 }),
    ),
    head: fc.integer({ min: -3, max: 16 }),
    tail: fc.integer({ min: -3, max: 16 }),
    extra: fc.nat(11),
  })
  .map(({ input, kernel, strides: { stride, dilation }, head, tail, extra }) => {
    const full = stride * (input - 1) + dilation * (kernel - 1) + 1;
    const begin = Math.min(head, full - 1);
    const end = Math.min(tail, full - 1 - begin);
    const both = Math.max(Math.min(head, Math.floor((full - 1) / 2)), 0);
    return { input, kernel, stride, dilation, begin, end, both, full, extra };
  });

/** A layer, its input and its parameters, all small integers. Paddings reach beyond the kernel and beyond the full result. */
export function layers({ most = 4, activations = 'exact' }: Limits = {}): fc.Arbitrary<Layer> {
  return fc
    .record({
      height: axis,
      width: axis,
      batch: fc.constantFrom(undefined, 0, 1, 1, 2, 3),
      groups,
      inPerGroup: channels,
      outPerGroup: channels,
      layout: fc.constantFrom('NCHW' as const, 'NHWC' as const),
      weightLayout: fc.constantFrom('IOHW' as const, 'HWOI' as const, 'OHWI' as const),
      sides: fc.constantFrom(1, 2, 4),
      size: fc.constantFrom('plain', 'outputPadding', 'outputSize'),
      activation: fc.constantFrom(
        'none' as const,
        'none' as const,
        'relu' as const,
        'relu6' as const,
        'leaky-relu' as const,
      ),
      bias: fc.boolean(),
      seed: fc.integer(),
    })
    .map(({ height, width, batch, inPerGroup, outPerGroup, layout, weightLayout, size, activation, seed, ...rest }) => {
      const ins = inPerGroup * rest.groups;
      const outs = outPerGroup * rest.groups;
      const { padding, cropped } = paddingOf(rest.sides, height, width);
      const options: ConvTranspose2dOptions = {
        stride: [height.stride, width.stride],
        padding,
        dilation: [height.dilation, width.dilation],
        groups: rest.groups,
        layout,
        weightLayout,
      };
      if (size === 'outputPadding') {
        options.outputPadding = [
          height.extra % Math.max(height.stride, height.dilation),
          width.extra % Math.max(width.stride, width.dilation),
        ];
      }
      if (size === 'outputSize') {
        options.outputSize = [
          height.full - cropped[0] + (height.extra % height.stride),
          width.full - cropped[1] + (width.extra % width.stride),
        ];
      }
      if (activations === 'exact' && activation !== 'none') {
        options.activation = activation;
        if (activation === 'leaky-relu') options.negativeSlope = 0.5;
      }
      const image = layout === 'NCHW' ? [ins, height.input, width.input] : [height.input, width.input, ins];
      const kernel = { I: ins, O: outPerGroup, H: height.kernel, W: width.kernel };
      const weightShape = Array.from(weightLayout, (name) => kernel[name as keyof typeof kernel]);
      return {
        input: integerTensor(batch === undefined ? image : [batch, ...image], seed, most),
        weight: integerTensor(weightShape, seed + 1, most),
        bias: rest.bias ? integerTensor([outs], seed + 2, most) : undefined,
        options,
      };
    });
}

interface Crop {
  readonly begin: number;
  readonly end: number;
  readonly both: number;
}

/** A padding of one, two or four numbers, and what it crops of each axis. */
function paddingOf(sides: number, height: Crop, width: Crop): { padding: Padding; cropped: readonly [number, number] } {
  if (sides === 4) {
    const padding = [height.begin, width.begin, height.end, width.end] as const;
    return { padding, cropped: [height.begin + height.end, width.begin + width.end] };
  }
  if (sides === 2) return { padding: [height.both, width.both], cropped: [2 * height.both, 2 * width.both] };
  const both = Math.min(height.both, width.both);
  return { padding: both, cropped: [2 * both, 2 * both] };
}

/** What a failing layer is printed as: its shapes and options, without the data. */
export function describeLayer({ input, weight, bias, options }: Layer): string {
  return `input ${input.shape.join('x')}, weight ${weight.shape.join('x')}, ${bias ? 'bias' : 'no bias'}, ${JSON.stringify(options)}`;
}
