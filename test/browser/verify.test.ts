// A kernel that computes wrong numbers on purpose: `verify` catches it, reports it, and goes on with another.
import { expect, test } from 'vitest';
import {
  ConvTranspose2d,
  convTranspose2d,
  ConvTranspose2dGradients,
  download,
  upload,
  type Mismatch,
  type HostTensor,
} from '../../src/index.ts';
import { convTranspose2dBackwardReference } from '../../src/reference.ts';
import { Count } from '../support/count.ts';
import { count } from '../support/figures.ts';
import { testDevice } from '../support/gpu.ts';
import { integerTensor } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

const state = { weight: integerTensor([4, 8, 3, 3], 2), bias: integerTensor([8], 3) };
const input = integerTensor([2, 4, 9, 9], 1);
const options = { stride: 2, padding: 1 } as const;
const wrong = (output: HostTensor): string | undefined =>
  mismatch(output, { input, ...state, options }, { lane: 'exact' });

let made = 0;

/** A device of an adapter of its own name, some of whose kernels clip their results to [0, 6]. */
async function wrongDevice(kernels: (label: string, positions: number) => boolean): Promise<GPUDevice> {
  const device = await testDevice({ label: `wrong device ${made}` });
  const info = { vendor: 'test', architecture: 'swiftshader', device: `wrong ${made++}`, description: '' };
  Object.defineProperty(device, 'adapterInfo', { value: info });
  const spoil = (descriptor: GPUComputePipelineDescriptor): GPUComputePipelineDescriptor => {
    const { constants } = descriptor.compute;
    if (constants?.['ACTIVATION'] === undefined) return descriptor;
    if (!kernels(descriptor.label ?? '', constants['POSITIONS'] ?? 0)) return descriptor;
    return { ...descriptor, compute: { ...descriptor.compute, constants: { ...constants, ACTIVATION: 2 } } };
  };
  const [now, soon] = [device.createComputePipeline.bind(device), device.createComputePipelineAsync.bind(device)];
  device.createComputePipeline = (descriptor) => now(spoil(descriptor));
  device.createComputePipelineAsync = (descriptor) => soon(spoil(descriptor));
  return device;
}

const isFirst = (label: string): boolean => label.includes('registers');

test.for(['sample', 'always'] as const)(
  "'%s': caught, reported, set aside; the call is right",
  async (verify, context) => {
    const device = await wrongDevice(isFirst);
    const mismatches: Mismatch[] = [];
    const layer = new ConvTranspose2d(4, 8, 3, {
      ...options,
      device,
      verify,
      onMismatch: (each) => mismatches.push(each),
    });
    const unverified = new ConvTranspose2d(4, 8, 3, { ...options, device });
    layer.loadStateDict(state);
    unverified.loadStateDict(state);
    expect(wrong(await unverified.forward(input))).toBeDefined();
    const kernel = layer.plan(input.shape).kernel;
    expect(wrong(await layer.forward(input))).toBeUndefined();

    expect(mismatches.length).toBeGreaterThanOrEqual(1);
    expect(mismatches[0]).toMatchObject({
      kernel,
      adapter: expect.stringMatching(/^test swiftshader wrong \d+$/) as string,
      inputShape: input.shape,
      outputShape: [2, 8, 17, 17],
      message: expect.stringContaining(kernel) as string,
    });
    const { plan } = { plan: layer.plan(input.shape) };
    expect(plan.kernel).not.toBe(kernel);
    expect(plan.reason).toContain('set aside');
    // For the session: layers that do not verify have it no more either, nor do new ones.
    expect(wrong(await unverified.forward(input))).toBeUndefined();
    expect(wrong(await convTranspose2d(input, state.weight, state.bias, { ...options, device }))).toBeUndefined();
    expect(wrong(await layer.forward(input))).toBeUndefined();
    for (const each of [layer, unverified]) each.destroy();
    count(context, 'mismatches caught', mismatches.length);
  },
);

test('nor do gradients have it that were prepared before', async () => {
  const device = await wrongDevice(isFirst);
  const gradients = new ConvTranspose2dGradients(4, 8, 3, { ...options, device });
  const gradOutput = integerTensor([2, 8, 17, 17], 4);
  const operands = {
    gradOutput: upload(device, gradOutput),
    input: upload(device, input),
    weight: upload(device, state.weight),
  };
  const gradInput = async (): Promise<HostTensor> => {
    const encoder = device.createCommandEncoder();
    const made = gradients.encodeBackward(encoder, operands, { gradWeight: null, gradBias: null });
    device.queue.submit([encoder.finish()]);
    const result = await download(device, made.gradInput);
    made.gradInput.buffer.destroy();
    return result;
  };
  const expected = convTranspose2dBackwardReference(gradOutput, input, state.weight, options).gradInput.data;
  await gradients.prepare(input.shape);
  expect((await gradInput()).data).not.toEqual(Float32Array.from(expected));

  const layer = new ConvTranspose2d(4, 8, 3, { ...options, device, verify: 'always', onMismatch: () => undefined });
  layer.loadStateDict(state);
  expect(wrong(await layer.forward(input))).toBeUndefined();
  expect((await gradInput()).data).toEqual(Float32Array.from(expected));
  layer.destroy();
  gradients.destroy();
  for (const { buffer } of Object.values(operands)) buffer.destroy();
});

test('a tile that only later calls would run on is caught in the first', async (context) => {
  const device = await wrongDevice((label, positions) => isFirst(label) && positions > 4);
  const mismatches: Mismatch[] = [];
  const onMismatch = (each: Mismatch): unknown => mismatches.push(each);
  const layer = new ConvTranspose2d(24, 40, 3, { ...options, device, verify: 'sample', onMismatch });
  const problem = { input: integerTensor([1, 24, 24, 24], 1), weight: integerTensor([24, 40, 3, 3], 2), options };
  const bias = integerTensor([40], 3);
  layer.loadStateDict({ weight: problem.weight, bias });
  for (let call = 0; call < 20 && mismatches.length === 0; call++) {
    expect(mismatch(await layer.forward(problem.input), { ...problem, bias }, { lane: 'exact' })).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  layer.destroy();
  count(context, 'mismatches caught', mismatches.length);
  expect(mismatches.length).toBe(1);
});

test('weights that the GPU alone has, an output over the input, float16', async (context) => {
  const device = await wrongDevice(isFirst);
  const mismatches: Mismatch[] = [];
  const watched = {
    ...options,
    device,
    verify: 'always',
    onMismatch: (each: Mismatch) => mismatches.push(each),
  } as const;
  const layer = new ConvTranspose2d(4, 8, 3, watched);
  layer.loadStateDict({ weight: upload(device, state.weight), bias: upload(device, state.bias) });
  const memory = new Float32Array(2 * 8 * 17 * 17);
  memory.set(input.data);
  const output = { shape: [2, 8, 17, 17], data: memory };
  const same = { shape: input.shape, data: memory.subarray(0, input.data.length) };
  expect(wrong(await layer.forward(same, { output }))).toBeUndefined();
  layer.destroy();
  expect(mismatches.length).toBeGreaterThan(0);
  const half = [input, state.weight, state.bias].map(({ shape }, at) => integerTensor(shape, at, 2, 'float16'));
  const problem = { input: half[0]!, weight: half[1]!, bias: half[2]!, options };
  const result = await convTranspose2d(problem.input, problem.weight, problem.bias, watched);
  expect(mismatch(result, problem, { lane: 'exact', output: 'float16' })).toBeUndefined();
  count(context, 'mismatches caught', mismatches.length);
});

test('when no kernel is right, there is an error and no result', async (context) => {
  const device = await wrongDevice(() => true);
  const mismatches: Mismatch[] = [];
  const call = convTranspose2d(input, state.weight, state.bias, {
    ...options,
    device,
    verify: 'sample',
    onMismatch: (each) => mismatches.push(each),
  });
  await expect(call).rejects.toMatchObject({
    code: 'GPU_ERROR',
    message: expect.stringMatching(/set aside/) as string,
  });
  expect(new Set(mismatches.map(({ kernel }) => kernel)).size).toBe(mismatches.length);
  count(context, 'mismatches caught', mismatches.length);
});

test.for<[string, (layer: ConvTranspose2d, device: GPUDevice) => void, object]>([
  [
    'destroys the layer',
    (layer): void => {
      layer.destroy();
    },
    { code: 'DESTROYED' },
  ],
  [
    'loses the device',
    (_, device): void => {
      device.destroy();
    },
    { code: 'DEVICE_LOST' },
  ],
  ['throws', () => JSON.parse('{') as undefined, { name: 'SyntaxError' }],
])('onMismatch %s: the call says so, and nothing is left', async ([, act, reason]) => {
  const device = await wrongDevice(isFirst);
  const { live } = new Count(device);
  const onMismatch = (): void => {
    act(layer, device);
  };
  const layer: ConvTranspose2d = new ConvTranspose2d(4, 8, 3, { ...options, device, verify: 'always', onMismatch });
  layer.loadStateDict(state);
  await expect(layer.forward(input)).rejects.toMatchObject(reason);
  layer.destroy();
  expect([...live.values()]).toEqual([]);
});

test('a right GPU is never suspected: 300 calls of every activation', async () => {
  const device = await testDevice();
  const none = (): never => {
    throw new Error('a mismatch');
  };
  const activations = ['none', 'relu', 'relu6', 'leaky-relu', 'sigmoid', 'tanh', 'gelu', 'silu'] as const;
  for (const activation of activations) {
    const layer = new ConvTranspose2d(4, 8, 3, {
      ...options,
      device,
      activation,
      verify: 'always',
      onMismatch: none,
      seed: 1,
    });
    for (let call = 0; call < 38; call++) await layer.forward(integerTensor([1, 4, 1 + (call % 12), 5], call));
    layer.destroy();
  }
});
