// Tensors whose memory goes to another thread, or shrinks, before a call or under it: refused by name, with the layer usable.
import { beforeAll, describe, expect, test } from 'vitest';
import {
  ConvTranspose2d,
  convTranspose2dBackward,
  download,
  upload,
  type Device,
  type HostTensor,
} from '../../src/index.ts';
import { testDevice } from '../support/gpu.ts';
import { integerTensor } from '../support/tensors.ts';
import { gradientMismatch, mismatch } from '../support/tolerance.ts';

let device: GPUDevice;
beforeAll(async () => {
  device = await testDevice();
});

const options = { stride: 2, padding: 1 } as const;
const state = { weight: integerTensor([2, 3, 3, 3], 2), bias: integerTensor([3], 3) };
const image = integerTensor([1, 2, 65, 64], 1);
const small = integerTensor([1, 2, 4, 4], 1);
const copy = ({ shape, data }: HostTensor): HostTensor => ({ shape, data: new Float32Array(data as Float32Array) });
const emptyOutput = (): HostTensor => ({ shape: [1, 3, 129, 127], data: new Float32Array(3 * 129 * 127) });
const transfer = ({ data }: HostTensor): void => {
  structuredClone(data.buffer, { transfer: [data.buffer as ArrayBuffer] });
};
const turns = async (count: number): Promise<void> => {
  for (let turn = 0; turn < count; turn++) await new Promise((resolve) => setTimeout(resolve));
};

describe.each(['cpu', 'gpu'] as const)('on %s', (where) => {
  const on = (): Device => (where === 'cpu' ? 'cpu' : device);
  const right = (output: HostTensor): void => {
    expect(mismatch(output, { input: image, ...state, options }, { lane: 'exact' })).toBeUndefined();
  };

  test.each(['input', 'output'] as const)('%s, before a call and at each turn of it', async (name) => {
    const layer = new ConvTranspose2d(2, 3, 3, { ...options, device: on() });
    layer.loadStateDict(state);
    const refusal = { code: 'INVALID_ARGUMENT', message: expect.stringMatching(`^${name} data is`) as string };
    for (const after of [-1, 0, 1, 2, 3, 5, 8]) {
      const tensors = { input: copy(image), output: emptyOutput() };
      if (after < 0) transfer(tensors[name]);
      const call = layer.forward(tensors.input, { output: tensors.output }).catch((error: unknown) => error);
      if (after >= 0) {
        await turns(after);
        transfer(tensors[name]);
      }
      const result = await call;
      // The CPU path may have ended at the first turn.
      const late = after > (where === 'gpu' ? 0 : -1);
      if (late && !(result instanceof Error)) expect((result as HostTensor).shape).toEqual([1, 3, 129, 127]);
      else expect(result).toMatchObject(refusal);
      if (late && !(result instanceof Error) && name === 'input') right(result as HostTensor);
    }
    right(await layer.forward(image));
    layer.destroy();
  });

  test('a shape that the caller changes under a call is not looked at again', async () => {
    for (const verify of ['off', 'always'] as const) {
      const checked = new ConvTranspose2d(2, 3, 3, { ...options, device: on(), verify });
      checked.loadStateDict(state);
      const shape = [...image.shape];
      const output = { ...emptyOutput(), shape: [1, 3, 129, 127] };
      const call = checked.forward({ shape, data: image.data }, { output });
      shape.fill(1);
      output.shape.fill(1);
      right({ shape: [1, 3, 129, 127], data: (await call).data });
      checked.destroy();
    }
    const gradOutput = integerTensor([1, 3, 129, 127], 4);
    const tensors = [gradOutput, image, state.weight].map(({ shape, data }) => ({ shape: [...shape], data }));
    const call = convTranspose2dBackward(tensors[0]!, tensors[1]!, tensors[2]!, { ...options, device: on() });
    for (const { shape } of tensors) shape.fill(1);
    const { gradInput, gradWeight } = await call;
    expect([gradInput.shape, gradWeight.shape]).toEqual([image.shape, state.weight.shape]);
  });

  test('nor are an output of other data, and a size', async () => {
    for (const verify of ['off', 'always'] as const) {
      const checked = new ConvTranspose2d(2, 3, 3, { ...options, device: on(), verify });
      checked.loadStateDict(state);
      const [output, other] = [emptyOutput(), emptyOutput()];
      const given = { ...output };
      const outputSize: [number, number] = [129, 127];
      const call = checked.forward(image, { output: given, outputSize });
      given.data = other.data;
      outputSize.reverse();
      expect(await call).toBe(given);
      right(output);
      expect((other.data as Float32Array).every((value) => value === 0)).toBe(true);
      checked.destroy();
    }
  });

  test('gradOutput, input and weight of a backward call', async () => {
    const gradOutput = integerTensor([1, 3, 129, 127], 4);
    for (const name of ['gradOutput', 'input', 'weight'] as const) {
      for (const after of [-1, 0]) {
        const tensors = { gradOutput: copy(gradOutput), input: copy(image), weight: copy(state.weight) };
        if (after < 0) transfer(tensors[name]);
        const call = convTranspose2dBackward(tensors.gradOutput, tensors.input, tensors.weight, {
          ...options,
          device: on(),
        }).catch((error: unknown) => error);
        if (after >= 0) transfer(tensors[name]);
        expect(await call).toMatchObject({
          code: 'INVALID_ARGUMENT',
          message: expect.stringMatching(`^${name} data is`) as string,
        });
      }
    }
  });
});

test('sizes and shapes that the caller changes while the device is asked for are not looked at again', async () => {
  const call = (): { layer: ConvTranspose2d; shape: number[]; outputSize: [number, number] } => {
    const layer = new ConvTranspose2d(2, 3, 3, { stride: 3 });
    layer.loadStateDict(state);
    return { layer, shape: [1, 2, 4, 4], outputSize: [12, 14] };
  };
  const problem = { input: small, ...state, options: { stride: 3, outputSize: [12, 14] } } as const;
  const output = { shape: [1, 3, 12, 14], data: new Float32Array(3 * 12 * 14) };
  for (const to of [undefined, output]) {
    const { layer, outputSize } = call();
    const result = layer.forward(small, { outputSize, output: to });
    outputSize.reverse();
    expect(mismatch(await result, problem, { lane: 'exact' })).toBeUndefined();
    layer.destroy();
  }
  const { layer, shape, outputSize } = call();
  const plan = layer.prepare(shape, { outputSize });
  shape[2] = 5;
  outputSize.reverse();
  expect((await plan).outputShape).toEqual([1, 3, 12, 14]);
  layer.destroy();
});

test.each(['float32', 'float16'] as const)('nor is other data of the tensors of a backward call: %s', async (dtype) => {
  const shapes = [[1, 3, 12, 12], small.shape, state.weight.shape];
  const tensors = shapes.map((shape, seed) => ({ ...integerTensor(shape, seed, 2, dtype) }));
  const [gradOutput, input, weight] = tensors as [HostTensor, HostTensor, HostTensor];
  const problem = { gradOutput: { ...gradOutput }, input: { ...input }, weight: { ...weight }, options: { stride: 3 } };
  const call = convTranspose2dBackward(gradOutput, input, weight, { stride: 3 });
  for (const tensor of tensors) tensor.data = new Float32Array(1);
  expect(gradientMismatch(await call, problem, { lane: 'exact' })).toBeUndefined();
});

test('nor is the shape of a tensor that is downloaded', async () => {
  for (const dtype of ['float32', 'float16'] as const) {
    const { buffer } = upload(device, integerTensor([2, 3], 1, 4, dtype));
    const shape = [2, 3];
    const result = download(device, { shape, buffer, dtype });
    shape.fill(9);
    expect(await result).toMatchObject({ shape: [2, 3], data: { length: 6 } });
    buffer.destroy();
  }
});

test.each(['input', 'output'] as const)('%s, while the result is verified: refused, and no mismatch', async (name) => {
  const mismatches: string[] = [];
  const verified = new ConvTranspose2d(2, 3, 3, {
    ...{ ...options, device, verify: 'always' },
    onMismatch: ({ message }) => mismatches.push(message),
  });
  // Of parameters that the GPU alone has, which are read back for the check: meanwhile the memory goes.
  const onGpu = { weight: upload(device, state.weight), bias: upload(device, state.bias) };
  verified.loadStateDict(onGpu);
  const { kernel } = await verified.prepare(image.shape);
  const tensors = { input: copy(image), output: emptyOutput() };
  const begin = device.createCommandEncoder.bind(device);
  device.createCommandEncoder = (descriptor) => {
    if (descriptor?.label === 'conv-transpose2d stateDict') transfer(tensors[name]);
    return begin(descriptor);
  };
  await expect(verified.forward(tensors.input, { output: tensors.output })).rejects.toMatchObject({
    code: 'INVALID_ARGUMENT',
    message: expect.stringMatching(`^${name} data is`) as string,
  });
  device.createCommandEncoder = begin;
  expect(tensors[name].data.length).toBe(0);
  expect(mismatches).toEqual([]);
  expect(verified.plan(image.shape).kernel).toBe(kernel);
  for (const { buffer } of Object.values(onGpu)) buffer.destroy();
  verified.destroy();
});
