// What a layer holds on a GPU, what it lets go of when something fails, and how it says that there is no room.
import { describe, expect, test } from 'vitest';
import {
  convTranspose2d,
  ConvTranspose2d,
  ConvTranspose2dError,
  download,
  outputShape,
  upload,
  type GpuTensor,
  type HostTensor,
} from '../../src/index.ts';
import { resolveOptions } from '../../src/options.ts';
import { planLayer } from '../../src/plan.ts';
import { capabilitiesOf } from '../../src/webgpu/device.ts';
import { GpuLayer } from '../../src/webgpu/layer.ts';
import { count, device } from '../support/counted-device.ts';
import { outOfMemory } from '../support/failing.ts';
import { testDevice } from '../support/gpu.ts';
import { inScopes } from '../support/scopes.ts';
import { integerTensor, valuesOf } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

const options = { stride: 2, padding: 1 } as const;
const state = { weight: integerTensor([2, 3, 3, 3], 2), bias: integerTensor([3], 3) };
const input = integerTensor([1, 2, 4, 4], 1);
const wrong = (output: HostTensor, of = input): string | undefined =>
  mismatch(output, { input: of, ...state, options }, { lane: 'exact' });

function layerOf(dtype: 'float32' | 'float16' = 'float32'): ConvTranspose2d {
  const layer = new ConvTranspose2d(2, 3, 3, { ...options, device, dtype });
  if (dtype === 'float32') layer.loadStateDict(state);
  return layer;
}

const errorOf = (call: Promise<unknown>): Promise<unknown> =>
  call.then(
    () => undefined,
    (error: unknown) => error,
  );

const submit = (record: (encoder: GPUCommandEncoder) => void): Promise<void> =>
  inScopes(device, () => {
    const encoder = device.createCommandEncoder({ label: 'test' });
    record(encoder);
    device.queue.submit([encoder.finish()]);
  });

describe('what fails leaves nothing', () => {
  test('a download that the device refuses', async () => {
    const foreign = upload(await testDevice({ label: 'another device' }), input);
    expect(await errorOf(download(device, foreign))).toMatchObject({ code: 'GPU_ERROR' });
    expect([...count.live.values()]).toEqual([]);
  });

  test('a state dict whose second copy fails', async () => {
    const layer = layerOf();
    layer.loadStateDict({ weight: upload(device, state.weight), bias: upload(device, state.bias) });
    const before = count.live.size;
    const stop = outOfMemory(device, ({ label, size }) => label === 'conv-transpose2d readback' && size === 16);
    expect(await errorOf(layer.stateDict())).toMatchObject({ code: 'OUT_OF_MEMORY' });
    stop();
    expect(count.live.size).toBe(before);
    expect((await layer.stateDict()).weight.data).toEqual(state.weight.data);
    expect(wrong(await layer.forward(input))).toBeUndefined();
    layer.destroy();
    expect([...count.live.values()].every((label) => label.startsWith('conv-transpose2d tensor'))).toBe(true);
  });

  test('GPU weights that find no room: calls say so until others are loaded, and nobody else is told', async () => {
    const layer = layerOf();
    const onGpu = { weight: upload(device, state.weight), bias: upload(device, state.bias) };
    const from = upload(device, input);
    const stop = outOfMemory(device, ({ label }) => label === 'conv-transpose2d packed weight');
    await inScopes(device, () => {
      layer.loadStateDict(onGpu);
    });
    expect(await errorOf(layer.prepare(input.shape))).toMatchObject({ code: 'OUT_OF_MEMORY' });
    stop();
    expect(await errorOf(layer.forward(input))).toMatchObject({ code: 'OUT_OF_MEMORY' });
    expect(await errorOf(layer.stateDict())).toMatchObject({ code: 'OUT_OF_MEMORY' });
    await submit((encoder) => {
      expect(() => layer.encode(encoder, from)).toThrow(expect.objectContaining({ code: 'OUT_OF_MEMORY' }) as Error);
    });
    layer.loadStateDict(onGpu);
    expect(wrong(await layer.forward(input))).toBeUndefined();
    layer.destroy();
    for (const { buffer } of [from, onGpu.weight, onGpu.bias]) buffer.destroy();
    expect(count.live.size).toBe(0);
  });
});

test.each(['packed weight', 'packed bias', 'pack params'])(
  'GPU weights without room, %s: no numbers come of them, whenever a call comes',
  async (name) => {
    const layer = layerOf();
    const onGpu = { weight: upload(device, state.weight), bias: upload(device, state.bias) };
    const from = upload(device, input);
    const made: GpuTensor[] = [];
    const stop = outOfMemory(device, ({ label }) => label === `conv-transpose2d ${name}`);
    layer.loadStateDict(onGpu);
    stop();
    let error: unknown;
    for (let call = 0; call < 1000 && !(error instanceof ConvTranspose2dError); call++) {
      error = await errorOf(submit((encoder) => made.push(layer.encode(encoder, from))));
      if (error === undefined) {
        expect([...valuesOf(await download(device, made.at(-1)))].some(Number.isFinite)).toBe(false);
      }
    }
    expect(error).toBeInstanceOf(ConvTranspose2dError);
    expect(await errorOf(layer.forward(input))).toMatchObject({ code: 'OUT_OF_MEMORY' });
    layer.destroy();
    for (const { buffer } of [onGpu.weight, onGpu.bias, from, ...made]) buffer.destroy();
    expect([...count.live.values()]).toEqual([]);
  },
);

test('host weights that find no room on their way: every call that would read them rejects, and the next is right', async () => {
  const { spec } = resolveOptions(2, 3, 3, options);
  // Packed by a pass, as on hardware.
  const capabilities = { ...capabilitiesOf(device, 'a test'), software: false };
  const layer = new GpuLayer(device, spec, capabilities);
  const layerPlan = planLayer(spec, input.shape, undefined, capabilities);
  layer.loadHost({ weight: integerTensor([2, 3, 3, 3], 9), bias: state.bias });
  await layer.prepare(layerPlan);
  const stop = outOfMemory(device, ({ label }) => label === 'conv-transpose2d parameters');
  layer.loadHost(state);
  const calls = [1, 2, 3].map(() => layer.forward(layerPlan, input, undefined, undefined));
  for (const error of await Promise.all(calls.map(errorOf))) expect(error).toMatchObject({ code: 'OUT_OF_MEMORY' });
  stop();
  expect(wrong(await layer.forward(layerPlan, input, undefined, undefined))).toBeUndefined();
  layer.destroy();
  expect([...count.live.values()]).toEqual([]);
});

test('a kernel does not compile, sooner than what packs the weights does: nothing is left', async () => {
  const { spec } = resolveOptions(2, 3, 3, options);
  const capabilities = { ...capabilitiesOf(device, 'a test'), software: false };
  const layer = new GpuLayer(device, spec, capabilities);
  layer.loadHost(state);
  const create = device.createComputePipelineAsync.bind(device);
  device.createComputePipelineAsync = async (descriptor) => {
    if (!descriptor.label?.endsWith('pack-weight')) throw new Error('made up by the test');
    await new Promise((resolve) => setTimeout(resolve, 300));
    return create(descriptor);
  };
  const call = layer.forward(planLayer(spec, input.shape, undefined, capabilities), input, undefined, undefined);
  expect(await errorOf(call)).toMatchObject({ code: 'GPU_ERROR' });
  await new Promise((resolve) => setTimeout(resolve, 300));
  layer.destroy();
  expect([...count.live.values()]).toEqual([]);
});

describe('what other calls share', () => {
  const small = integerTensor([1, 2, 4, 4], 1, 4, 'float16');
  const large = integerTensor([1, 2, 40, 40], 1, 4, 'float16');
  const half = { weight: integerTensor([2, 3, 3, 3], 2, 4, 'float16'), bias: integerTensor([3], 3, 4, 'float16') };
  const wrongHalf = (output: HostTensor): string | undefined =>
    mismatch(output, { input: small, ...half, options }, { lane: 'exact', output: 'float16' });

  test.each(['expandedInput', 'expandedOutput'])(
    '%s has no room to grow: shapes that had enough go on',
    async (name) => {
      const layer = layerOf('float16');
      layer.loadStateDict(half);
      const from = upload(device, small);
      await layer.prepare(small.shape);
      const stop = outOfMemory(device, ({ label }) => label === `conv-transpose2d ${name}`);
      expect(await errorOf(layer.forward(large))).toMatchObject({ code: 'OUT_OF_MEMORY' });
      stop();
      let to: GpuTensor | undefined;
      await submit((encoder) => (to = layer.encode(encoder, from)));
      expect(wrongHalf(await download(device, to!))).toBeUndefined();
      expect(wrongHalf(await layer.forward(small))).toBeUndefined();
      layer.destroy();
      for (const { buffer } of [from, to!]) buffer.destroy();
      expect(count.live.size).toBe(0);
    },
  );

  test('weights that fail to load under a forward: it rejects as later calls do, or has the ones before', async () => {
    const gone = { weight: upload(device, state.weight), bias: upload(device, state.bias) };
    gone.weight.buffer.destroy();
    let rejected = 0;
    for (let turns = 0; turns < 12; turns++) {
      const layer = layerOf();
      if (turns % 2) await layer.prepare(input.shape);
      const pending = layer.forward(input);
      const outcome = errorOf(pending);
      for (let turn = 0; turn < turns; turn++)
        await (turn % 4 === 3 ? new Promise((done) => setTimeout(done)) : undefined);
      layer.loadStateDict(gone);
      const error = await outcome;
      if (error === undefined) expect(wrong(await pending)).toBeUndefined();
      else expect(error).toMatchObject({ code: 'GPU_ERROR' });
      if (error !== undefined) rejected++;
      layer.destroy();
    }
    expect(rejected).toBeGreaterThan(0);
    gone.bias.buffer.destroy();
    expect(count.live.size).toBe(0);
  });

  test('a forward fails after another call has recorded what it made: that call is right', async () => {
    const layer = layerOf('float16');
    layer.loadStateDict(half);
    const from = upload(device, small);
    let recorded: { encoder: GPUCommandEncoder; to: GpuTensor } | undefined;
    const stop = outOfMemory(device, ({ label }) => {
      const fails = label === 'conv-transpose2d readback';
      if (fails) {
        // Once the forward has submitted, and before it knows that it has failed.
        queueMicrotask(() => {
          const encoder = device.createCommandEncoder({ label: 'test' });
          recorded = { encoder, to: layer.encode(encoder, from) };
        });
      }
      return fails;
    });
    expect(await errorOf(layer.forward(small))).toMatchObject({ code: 'OUT_OF_MEMORY' });
    stop();
    const { encoder, to } = recorded!;
    await inScopes(device, () => {
      device.queue.submit([encoder.finish()]);
    });
    expect(wrongHalf(await download(device, to))).toBeUndefined();
    expect(wrongHalf(await layer.forward(small))).toBeUndefined();
    layer.destroy();
    for (const { buffer } of [from, to]) buffer.destroy();
    expect(count.live.size).toBe(0);
  });
});

describe('GPU weights: each load stands for itself', () => {
  test.each(['gone', 'right, gone', 'no room', 'host, no room', 'gone, host, no room'])(
    'right after: %s',
    async (before) => {
      const layer = layerOf();
      const onGpu = { weight: upload(device, state.weight), bias: upload(device, state.bias) };
      const gone = upload(device, state.weight);
      gone.buffer.destroy();
      for (const load of before.split(', ')) {
        const stop = outOfMemory(device, ({ label }) => load === 'no room' && label === 'conv-transpose2d pack params');
        if (load === 'host') layer.loadStateDict(state);
        else layer.loadStateDict(load === 'gone' ? { ...onGpu, weight: gone } : onGpu);
        stop();
      }
      layer.loadStateDict(onGpu);
      for (let call = 0; call < 10; call++) {
        expect(wrong(await layer.forward(input))).toBeUndefined();
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      layer.loadStateDict({ ...onGpu, weight: gone });
      expect(await errorOf(layer.forward(input))).toMatchObject({ code: 'GPU_ERROR' });
      layer.destroy();
      for (const { buffer } of [onGpu.weight, onGpu.bias]) buffer.destroy();
      expect(count.live.size).toBe(0);
    },
  );
});

describe('OUT_OF_MEMORY', () => {
  const names = ['packed weight', 'packed bias', 'tables', 'expandedInput', 'expandedOutput', 'input', 'readback'];
  test.each(names)('%s: says how many bytes were asked for; layer and device go on', async (name) => {
    const call = integerTensor([1, 2, 4, 4], 1, 4, 'float16');
    const layer = layerOf('float16');
    const sizes: number[] = [];
    const stop = outOfMemory(device, ({ label, size }) => {
      if (label === `conv-transpose2d ${name}`) sizes.push(size);
      return label === `conv-transpose2d ${name}`;
    });
    const early = name !== 'input' && name !== 'readback';
    const error = await errorOf(early ? layer.prepare(call.shape) : layer.forward(call));
    expect(sizes.length).toBe(1);
    expect(error).toMatchObject({ code: 'OUT_OF_MEMORY', message: expect.stringMatching(/\d+ bytes/) as string });
    expect(Number(/the (\d+) bytes/.exec((error as Error).message)?.[1])).toBeGreaterThanOrEqual(sizes[0]!);
    stop();
    const { weight, bias } = await layer.stateDict();
    const problem = { input: call, weight, bias, options };
    const judgement = { lane: 'float', output: 'float16' } as const;
    expect(mismatch(await layer.forward(call), problem, judgement)).toBeUndefined();
    layer.destroy();
    expect(count.live.size).toBe(0);
  });

  test('on the CPU, and where the page itself has no room', async () => {
    const layer = new ConvTranspose2d(1, 1, 1, { device: 'cpu', stride: [2 ** 18, 2 ** 18], bias: false });
    const one = { shape: [1, 2, 2], data: new Float32Array(4) };
    const bytes = 4 * (2 ** 18 + 1) ** 2;
    expect(await errorOf(layer.forward(one))).toMatchObject({
      code: expect.stringMatching(/OUT_OF_MEMORY|UNSUPPORTED/) as string,
    });
    expect(layer.plan([1, 1, 1]).bytes.output).toBe(4);
    expect(bytes).toBeGreaterThan(2 ** 37);
    layer.destroy();
  });
});

describe('sizes beyond what there is', () => {
  const most = 2 ** 31 - 1;
  test('are refused before anything is made, products beyond 2⁵³ too', () => {
    const calls: (() => unknown)[] = [
      () => new ConvTranspose2d(most, most, most, { device, groups: most }),
      () => new ConvTranspose2d(most, most, [most, most], { device }),
      () => new ConvTranspose2d(2 ** 16, 2 ** 16, 1, { device }).plan([most, 2 ** 16, 1, 1]),
      () => new ConvTranspose2d(1, 1, 1, { device }).plan([most, 1, most, most]),
      () => new ConvTranspose2d(1, 1, 1, { device, padding: [-most, -most, 0, 0] }).plan([1, 1, 1]),
      () => new ConvTranspose2d(1, most, 1, { device, groups: 1 }).plan([1, 1, 1]),
      () => new ConvTranspose2d(1, 1, [2 ** 26, 1], { device }).plan([1, 1, 1]),
      () => new ConvTranspose2d(1, 1, 1, { device, stride: 2 ** 20, outputPadding: 2 ** 20 - 1 }).plan([1, 1, 1]),
    ];
    for (const call of calls) {
      expect(call).toThrow(
        expect.objectContaining({ code: expect.stringMatching(/UNSUPPORTED|INVALID/) as string }) as Error,
      );
    }
    expect(count.made.get('Buffer')).toBeUndefined();
  });

  test('nothing is multiplied into a size that passes for a small one', async () => {
    const huge = Array.from({ length: 20 }, () => 2 ** 53 - 1);
    const tensor = upload(device, input);
    for (const shape of [[...huge, 0], [0, ...huge], huge]) {
      const there: GpuTensor = { shape, buffer: tensor.buffer };
      const got = errorOf(download(device, there));
      if (shape.includes(0)) expect(await got).toBeUndefined();
      else expect(await got).toMatchObject({ code: 'INVALID_ARGUMENT' });
      const host = { shape, data: new Float32Array(shape.includes(0) ? 1 : 0) };
      expect(() => upload(device, host)).toThrow(expect.objectContaining({ code: 'INVALID_ARGUMENT' }) as Error);
    }
    expect(() => outputShape([1, 1, most, most], [1, 1, most, most])).toThrow('full output size');
    const wide = convTranspose2d({ shape: [most, 1, most, most], data: new Float32Array(1) }, state.weight, null, {
      device,
    });
    expect(await errorOf(wide)).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('caches have bounds', () => {
  test('encodes of 200 shapes, submitted late: right, and destroy lets go of all that the collector has not', async () => {
    const layer = layerOf();
    const shapes = Array.from({ length: 200 }, (_, i) => [1, 2, 1 + i, 2]);
    const tensors = shapes.map((shape, i) => integerTensor(shape, i));
    const inputs = tensors.map((tensor) => upload(device, tensor));
    const outputs: GpuTensor[] = [];
    await submit((encoder) => {
      for (const from of inputs) outputs.push(layer.encode(encoder, from));
    });
    for (const at of [0, 1, 100, 199]) expect(wrong(await download(device, outputs[at]!), tensors[at])).toBeUndefined();
    for (const { buffer } of [...inputs, ...outputs]) buffer.destroy();
    layer.destroy();
    expect([...count.live.values()]).toEqual([]);
  });

  test('200 forwards at once, each of its own shape: tables of 64 are left', async () => {
    const layer = layerOf();
    const tensors = Array.from({ length: 200 }, (_, i) => integerTensor([1, 2, 1 + i, 2], i));
    const results = await Promise.all(tensors.map((tensor) => layer.forward(tensor)));
    for (const at of [0, 1, 100, 199]) expect(wrong(results[at]!, tensors[at])).toBeUndefined();
    expect([...count.live.values()].filter((label) => label.endsWith('tables')).length).toBe(64);
    layer.destroy();
    expect(count.live.size).toBe(0);
  });

  test('scratch is one for all shapes: at most twice what the largest takes, whatever the order', async () => {
    const layer = layerOf('float16');
    const heights = [1, 40, 3, 41, 90, 2];
    for (const height of heights) await layer.forward(integerTensor([1, 2, height, 2], height, 4, 'float16'));
    const scratch = [...count.live].filter(([, label]) => label.includes('expanded')) as [GPUBuffer, string][];
    expect(scratch.length).toBe(2);
    const most = layer.plan([1, 2, 90, 2]).bytes.scratch;
    expect(scratch.reduce((sum, [{ size }]) => sum + size, 0)).toBeLessThanOrEqual(2 * most);
    layer.destroy();
    expect(count.live.size).toBe(0);
  });

  test('bind groups of a pair of buffers, over 100 offsets', async () => {
    const layer = layerOf();
    const step = device.limits.minStorageBufferOffsetAlignment;
    const from = { ...upload(device, { shape: [40 * step], data: new Float32Array(40 * step) }), shape: input.shape };
    const to = { ...upload(device, { shape: [80 * step], data: new Float32Array(80 * step) }), shape: [1, 3, 7, 7] };
    await layer.prepare(input.shape);
    await submit((encoder) => {
      const encode = (at: number) => () =>
        layer.encode(encoder, { ...from, offset: at * step }, { ...to, offset: at * step });
      for (let at = 0; at < 100; at++) encode(at)();
      expect(count.during(encode(99))).toEqual({});
      expect(Object.keys(count.during(encode(0)))).toEqual(['BindGroup']);
    });
    layer.destroy();
  });
});
