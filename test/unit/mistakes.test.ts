// What a user gets wrong first. Each message, whole, says what was given, what is allowed and what to do about it.
import { expect, test } from 'vitest';
import {
  ConvTranspose2d,
  ConvTranspose2dError,
  convTranspose2d,
  requestDevice,
  type ConvTranspose2dOptions,
  type HostTensor,
  type LayerOptions,
} from '../../src/index.ts';

const zeros = (...shape: number[]): HostTensor => ({
  shape,
  data: new Float32Array(shape.reduce((product, extent) => product * extent, 1)),
});
const weight = zeros(16, 3, 4, 4);
const bias = zeros(3);
/** JavaScript's callers give anything. */
const layer = (options?: unknown): ConvTranspose2d =>
  new ConvTranspose2d(16, 3, 4, options as ConvTranspose2dOptions & LayerOptions);
const load = (state: unknown, options?: unknown): void => {
  layer(options).loadStateDict(state as never);
};
const forward = (input: unknown, options?: unknown, call?: unknown): Promise<HostTensor> =>
  layer(options).forward(input as HostTensor, call as never);

const options =
  'stride, padding, outputPadding, outputSize, groups, dilation, layout, weightLayout, activation, negativeSlope, device, verify, onMismatch';

test.each<[string, () => unknown, string]>([
  [
    "a Conv2d's weight",
    () => {
      load({ weight: zeros(3, 16, 4, 4), bias });
    },
    'weight shape is [3, 16, 4, 4]; it must be [16, 3, 4, 4]',
  ],
  [
    'numbers without a shape',
    () => {
      load({ weight: weight.data, bias });
    },
    'weight is Float32Array(768); it must be a tensor { shape, data }',
  ],
  [
    'names with a prefix',
    () => {
      load({ 'up.weight': weight, 'up.bias': bias });
    },
    "state is { up.weight, up.bias }; it must be { weight, bias }, by these names: a model's without the layer's prefix",
  ],
  [
    "another layer's parameters beside",
    () => {
      load({ weight, bias, running_mean: bias, num_batches_tracked: undefined });
    },
    "state 'running_mean' is { shape, data }; the layer has no parameter of that name: it has weight and bias",
  ],
  [
    'a name misspelt',
    () => {
      load({ weight, weigth: weight, bias: undefined }, { bias: false });
    },
    "state 'weigth' is { shape, data }; the layer has no parameter of that name: it has weight",
  ],
  [
    'a bias forgotten',
    () => {
      load({ weight });
    },
    'bias is undefined; the layer has one; without, make it with bias: false',
  ],
  [
    'null for a bias',
    () => {
      load({ weight, bias: null });
    },
    'bias is null; it must be a tensor { shape, data }',
  ],
  [
    'a bias too many',
    () => {
      load({ weight, bias }, { bias: false });
    },
    'bias is { shape, data }; the layer was made with bias: false',
  ],
  [
    "another library's tensor",
    () => forward({ dims: [16, 1, 1], data: new Float32Array(16) }),
    'input is { dims, data }; it must be a tensor { shape, data }',
  ],
  [
    'a plain array',
    () => forward({ shape: [16, 1, 1], data: [1, 2] }),
    "input data is [1, 2]; it must be a Float32Array, a Float16Array, or a Uint16Array with dtype 'float16'",
  ],
  [
    'too few numbers',
    () => forward({ shape: [16, 1, 1], data: new Float32Array(8) }),
    'input data is Float32Array(8); shape [16, 1, 1] takes 16 elements',
  ],
  [
    'channels last',
    () => forward(zeros(1, 8, 8, 16)),
    "input shape is [1, 8, 8, 16]; it must be (N, C, H, W) or (C, H, W) with 16 channels, as the weight has, and it has 8; or is its layout 'NHWC'?",
  ],
  [
    'channels first',
    () => forward(zeros(1, 16, 8, 8), { layout: 'NHWC' }),
    "input shape is [1, 16, 8, 8]; it must be (N, H, W, C) or (H, W, C) with 16 channels, as the weight has, and it has 8; or is its layout 'NCHW'?",
  ],
  [
    'another dtype than the weight',
    () => convTranspose2d(zeros(1, 2, 2), { shape: [1, 1, 2, 2], data: new Uint16Array(4), dtype: 'float16' }),
    "input dtype is 'float32'; it must be 'float16', as the layer's and its weight's",
  ],
  [
    'arguments in place of options',
    () => layer(2),
    `options is 2; it must be an object of any of ${options}, bias, dtype, seed`,
  ],
  [
    "Python's name",
    () => layer({ output_padding: 1 }),
    `option 'output_padding' is 1; did you mean outputPadding? known are ${options}, bias, dtype, seed`,
  ],
  [
    'a mode as padding',
    () => layer({ padding: 'same' }),
    "padding is 'same'; it must be one number, [height, width] or [top, left, bottom, right]; 'same' and the like: see webgpu-conv-transpose2d/frameworks",
  ],
  [
    'output padding as large as the stride',
    () => layer({ stride: 2, outputPadding: 2 }),
    'outputPadding is 2; it must be smaller than stride or dilation on each axis: stride is [2, 2], dilation [1, 1]',
  ],
  ['groups that do not divide', () => layer({ groups: 2 }), 'groups is 2; it must divide outChannels, 3'],
  [
    'a size that cannot come out',
    () => forward(zeros(16, 8, 8), { stride: 2, padding: 1 }, { outputSize: 18 }),
    'outputSize is [18, 18]; for this input it must be from [16, 16] to [17, 17]',
  ],
  [
    'a device not waited for',
    () => layer({ device: Promise.resolve('cpu') }),
    "device is [object Promise]; it must be 'cpu', a GPUDevice (await requestDevice() gives either), or left out",
  ],
  [
    'encode on the CPU',
    () => layer({ device: 'cpu' }).encode({} as GPUCommandEncoder, {} as never),
    "encode records GPU work, and the layer's device is 'cpu': call forward",
  ],
  [
    'encode before the device is known',
    () => layer().encode({} as GPUCommandEncoder, {} as never),
    'encode needs a known device: give the option device, or await prepare',
  ],
  [
    'a GPU where there is none',
    () => requestDevice({ fallback: 'throw' }),
    "there is no navigator.gpu: pages have it in browsers with WebGPU, from https: or localhost; Node has it by npm's webgpu",
  ],
  [
    'an unknown word for requestDevice',
    () => requestDevice({ fallback: 'error' as never }),
    "fallback is 'error'; it must be one of 'cpu', 'throw'",
  ],
  [
    'an unknown option of requestDevice',
    () => requestDevice({ power: 'low-power' } as object),
    "option 'power' is 'low-power'; known are fallback, allowSoftware, powerPreference, onFallback",
  ],
])('%s', async (_, call, message) => {
  const refusal: unknown = await Promise.resolve()
    .then(call)
    .catch((error: unknown) => error);
  expect(refusal).toBeInstanceOf(ConvTranspose2dError);
  expect((refusal as ConvTranspose2dError).message).toBe(message);
});
