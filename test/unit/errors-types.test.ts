// What TypeScript refuses before anything runs; tsc checks this file, and fails where an expected error is missing.
import { expect, test } from 'vitest';
import type { ConvTranspose2dOptions, HostTensor, Padding, Pair } from '../../src/index.ts';
import type {
  CaffeAttributes,
  KerasAttributes,
  OnnxAttributes,
  TensorFlowAttributes,
} from '../../src/frameworks/index.ts';

const right: ConvTranspose2dOptions[] = [
  {},
  { stride: 2, padding: [1, 2], dilation: [1, 1], groups: 3 },
  { padding: [1, -1, 0, 2], outputSize: [6, 6], layout: 'NHWC', weightLayout: 'OHWI' },
  { activation: 'leaky-relu', negativeSlope: 0.2, device: 'cpu' },
  { stride: undefined, device: undefined },
];

const wrong: unknown[] = [
  // @ts-expect-error -- an unknown name
  { strides: 2 } satisfies ConvTranspose2dOptions,
  // @ts-expect-error -- a string
  { stride: '2' } satisfies ConvTranspose2dOptions,
  // @ts-expect-error -- three numbers
  { stride: [1, 2, 3] } satisfies ConvTranspose2dOptions,
  // @ts-expect-error -- null is not left out
  { padding: null } satisfies ConvTranspose2dOptions,
  // @ts-expect-error -- three sides
  [1, 2, 3] satisfies Padding,
  // @ts-expect-error -- one number in a list
  [1] satisfies Pair,
  // @ts-expect-error -- small letters
  { layout: 'nchw' } satisfies ConvTranspose2dOptions,
  // @ts-expect-error -- a forward convolution's layout
  { weightLayout: 'OIHW' } satisfies ConvTranspose2dOptions,
  // @ts-expect-error -- not an activation
  { activation: 'swish' } satisfies ConvTranspose2dOptions,
  // @ts-expect-error -- not a device
  { device: 'gpu' } satisfies ConvTranspose2dOptions,
  // @ts-expect-error -- doubles
  { shape: [1], data: new Float64Array(1) } satisfies HostTensor,
  // @ts-expect-error -- plain numbers
  { shape: [1], data: [1] } satisfies HostTensor,
  // @ts-expect-error -- not a dtype
  { shape: [1], data: new Float32Array(1), dtype: 'float64' } satisfies HostTensor,
  // @ts-expect-error -- TensorFlow asks for the strides
  { inputShape: [], filterShape: [], outputShape: [], padding: 'SAME' } satisfies TensorFlowAttributes,
  // @ts-expect-error -- Keras writes it small
  { inputShape: [], kernelShape: [], padding: 'SAME' } satisfies KerasAttributes,
  // @ts-expect-error -- a list in ONNX
  { inputShape: [], weightShape: [], strides: 2 } satisfies OnnxAttributes,
  // @ts-expect-error -- Caffe's name is kernel_size
  { num_output: 1, kernel: 3 } satisfies CaffeAttributes,
];

test('types say what may be given', () => {
  expect(right).toHaveLength(5);
  expect(wrong).toHaveLength(17);
});
