// A layer's life on a GPU: what it makes, keeps and lets go of, on a device that counts; packing; calls at the same time.
import { beforeEach, describe, expect, test } from 'vitest';
import {
  ConvTranspose2d,
  convTranspose2d,
  ConvTranspose2dError,
  download,
  requestDevice,
  upload,
  type ConvTranspose2dOptions,
  type GpuTensor,
  type HostTensor,
} from '../../src/index.ts';
import { resolveOptions, weightShape } from '../../src/options.ts';
import { packedElements, packWeight } from '../../src/packing.ts';
import { bytesOf, toFloat32Array } from '../../src/tensors.ts';
import { Count } from '../support/count.ts';
import { testAdapter, testDevice } from '../support/gpu.ts';
import { inScopes } from '../support/scopes.ts';
import { integerTensor, lengthOf, valuesOf } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

let device: GPUDevice;
let count: Count;
let made = 0;
beforeEach(async () => {
  device = await testDevice({ label: `counting device ${made++}` });
  count = new Count(device);
});

const weight = integerTensor([2, 3, 3, 3], 2);
const bias = integerTensor([3], 3);
const input = integerTensor([1, 2, 4, 4], 1);
const options = { stride: 2, padding: 1 } as const;

function layerOn(where: GPUDevice | 'cpu'): ConvTranspose2d {
  const layer = new ConvTranspose2d(2, 3, 3, { ...options, device: where });
  layer.loadStateDict({ weight, bias });
  return layer;
}

const wrong = (output: HostTensor, of: HostTensor): string | undefined =>
  mismatch(output, { input: of, weight, bias, options }, { lane: 'exact' });

async function errorOf(promise: Promise<unknown>): Promise<unknown> {
  return promise.then(
    () => undefined,
    (error: unknown) => error,
  );
}

describe('GPU objects', () => {
  test('all have labels, and none of the buffers outlives its layer', async () => {
    for (const dtype of ['float32', 'float16'] as const) {
      const layer = new ConvTranspose2d(2, 3, 3, { device, dtype });
      const from = upload(device, integerTensor([1, 2, 4, 4], 1, 4, dtype));
      await layer.forward(integerTensor([2, 2, 4, 4], 1, 4, dtype));
      const to = await inScopes(device, () => {
        const encoder = device.createCommandEncoder({ label: 'test' });
        const output = layer.encode(encoder, from);
        device.queue.submit([encoder.finish()]);
        return output;
      });
      await download(device, to);
      const gpuState = upload(device, integerTensor([2, 3, 3, 3], 2, 4, dtype));
      layer.loadStateDict({ weight: gpuState, bias: upload(device, integerTensor([3], 3, 4, dtype)) });
      await layer.stateDict();
      layer.destroy();
    }
    expect(count.withoutLabel).toEqual([]);
    // What is left is the caller's: input, output, weight and bias of each round.
    expect([...count.live.values()].map((label) => label.replace(/ [\d×]+$/, ''))).toEqual(
      Array.from({ length: 8 }, () => 'conv-transpose2d tensor'),
    );
  });

  test('encode makes none once its shape is prepared and it has met its tensors', async () => {
    const layer = layerOn(device);
    const from = upload(device, input);
    const to = upload(device, { shape: [1, 3, 7, 7], data: new Float32Array(147).fill(NaN) });
    await layer.prepare(input.shape);
    const encoder = device.createCommandEncoder({ label: 'test' });
    const encode = (): void => {
      expect(layer.encode(encoder, from, to)).toBe(to);
    };
    expect(Object.keys(count.during(encode))).toEqual(['BindGroup']);
    expect(count.during(encode)).toEqual({});
    device.queue.submit([encoder.finish()]);
    expect(wrong(await download(device, to), input)).toBeUndefined();
    layer.destroy();
  });

  test('prepare compiles without blocking, forward then makes no pipeline', async () => {
    const layer = layerOn(device);
    await layer.prepare(input.shape);
    expect(count.made.get('ComputePipeline')).toBeUndefined();
    const pipelines = count.made.get('ComputePipelineAsync');
    await layer.forward(input);
    const [second] = [layerOn(device)];
    await Promise.all([second.forward(input), second.forward(input), layer.forward(input)]);
    expect(count.made.get('ComputePipelineAsync')).toBe(pipelines);
    expect(count.made.get('ComputePipeline')).toBeUndefined();
    [layer, second].forEach((each) => {
      each.destroy();
    });
    expect(count.bytes).toBe(0);
  });

  test('300 calls of 150 shapes keep what 64 shapes need, and destroy lets go of all', async () => {
    const layer = layerOn(device);
    const lives: number[] = [];
    for (let call = 0; call < 300; call++) {
      await layer.forward({ shape: [1, 2, 1 + (call % 150), 2], data: new Float32Array(4 * (1 + (call % 150))) });
      lives.push(count.live.size);
    }
    // Tables of each shape; weights, bias, the input's texels, and the weights' with their tables.
    expect(Math.max(...lives)).toBeLessThanOrEqual(64 + 5);
    expect(lives.at(-1)).toBe(lives[149]);
    layer.destroy();
    expect([count.live.size, count.bytes]).toEqual([0, 0]);
  });

  test('convTranspose2d leaves nothing, whether it succeeds, is refused or is aborted', async () => {
    const call = (more: object): Promise<HostTensor> =>
      convTranspose2d(input, weight, bias, { ...options, device, ...more });
    expect(wrong(await call({}), input)).toBeUndefined();
    expect(await errorOf(call({ outputSize: 99 }))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    // At every turn of the event loop that a call takes.
    for (let turns = 0; turns < 12; turns++) {
      const controller = new AbortController();
      const pending = errorOf(call({ signal: controller.signal }));
      for (let turn = 0; turn < turns; turn++) await (turn % 2 ? new Promise((done) => setTimeout(done)) : undefined);
      controller.abort(turns);
      expect([turns, undefined]).toContain(await pending);
    }
    expect([count.live.size, count.bytes]).toEqual([0, 0]);
  });
});

describe('packing on the GPU', () => {
  const layouts = ['IOHW', 'HWOI', 'OHWI'] as const;
  const rows = layouts.flatMap((weightLayout) =>
    (['float32', 'float16'] as const).flatMap((dtype) => [1, 3].map((groups) => ({ weightLayout, dtype, groups }))),
  );

  /** A tensor in the middle of a larger buffer that is full of NaN. */
  function inside(tensor: HostTensor): GpuTensor {
    const offset = 2 * device.limits.minStorageBufferOffsetAlignment;
    const size = offset + Math.ceil(tensor.data.byteLength / 4) * 4;
    const usage = GPUBufferUsage.STORAGE;
    const buffer = device.createBuffer({ label: 'larger', size, usage, mappedAtCreation: true });
    const bytes = new Uint8Array(buffer.getMappedRange()).fill(0xff);
    bytes.set(bytesOf(tensor.data), offset);
    buffer.unmap();
    return { shape: tensor.shape, buffer, offset, dtype: tensor.data instanceof Float32Array ? 'float32' : 'float16' };
  }

  test.each(rows)('$weightLayout, $dtype, $groups groups: as on the host', async ({ weightLayout, dtype, groups }) => {
    const { spec } = resolveOptions(6, 15, [2, 3], { weightLayout, groups, dtype });
    const host = {
      weight: integerTensor(weightShape(spec), 5, 100, dtype),
      bias: integerTensor([15], 6, 100, dtype),
    };
    const packed = packWeight(spec, toFloat32Array(host.weight));
    const fromGpu = new ConvTranspose2d(6, 15, [2, 3], { device, weightLayout, groups, dtype });
    const fromHost = new ConvTranspose2d(6, 15, [2, 3], { device, weightLayout, groups, dtype });
    await inScopes(device, () => {
      const onGpu = { weight: inside(host.weight), bias: inside(host.bias) };
      fromGpu.loadStateDict(onGpu);
      onGpu.weight.buffer.destroy();
      onGpu.bias.buffer.destroy();
      fromHost.loadStateDict(host);
    });
    const call = integerTensor([6, 3, 3], 7, 4, dtype);
    const [a, b] = await Promise.all([fromGpu.forward(call), fromHost.forward(call)]);
    expect(mismatch(a, { input: call, ...host, options: { weightLayout, groups } }, { lane: 'exact' })).toBeUndefined();
    expect(a).toEqual(b);

    const buffers = [...count.live].filter(([, label]) => label === 'conv-transpose2d packed weight') as [
      GPUBuffer,
      string,
    ][];
    expect(buffers.length).toBe(2);
    for (const [buffer] of buffers) {
      const { data } = await download(device, { shape: [packedElements(spec)], buffer });
      expect(data).toEqual(packed);
    }
    for (const layer of [fromGpu, fromHost]) {
      const state = await layer.stateDict();
      expect(state.weight.shape).toEqual(host.weight.shape);
      expect(valuesOf(state.weight)).toEqual(valuesOf(host.weight));
      expect(valuesOf(state.bias!)).toEqual(valuesOf(host.bias));
      layer.destroy();
    }
  });

  test('GPU weights need a device that is known, and is a GPU', () => {
    const onGpu = { weight: upload(device, weight), bias: upload(device, bias) };
    const load = (more: ConvTranspose2dOptions) => (): void => {
      new ConvTranspose2d(2, 3, 3, more).loadStateDict(onGpu);
    };
    expect(load({})).toThrow(expect.objectContaining({ code: 'NOT_READY' }) as Error);
    expect(load({ device: 'cpu' })).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }) as Error);
  });

  test('float16 parameters that nobody gave a form are Float16Arrays where the platform has them', async () => {
    const Form = (globalThis as { Float16Array?: new () => unknown }).Float16Array ?? Uint16Array;
    const layer = new ConvTranspose2d(2, 3, 3, { device, dtype: 'float16' });
    const initial = await layer.stateDict();
    const [weight, bias] = [initial.weight, initial.bias!].map((tensor) => upload(device, tensor));
    layer.loadStateDict({ weight: weight!, bias: bias! });
    const read = await layer.stateDict();
    for (const { data, dtype } of [initial.weight, initial.bias!, read.weight, read.bias!]) {
      expect(data).toBeInstanceOf(Form);
      expect(dtype).toBe('float16');
    }
    expect(read).toEqual(initial);
    layer.destroy();
    weight!.buffer.destroy();
    bias!.buffer.destroy();
  });

  test('a state dict is a copy both ways', async () => {
    for (const where of ['cpu', device] as const) {
      const layer = new ConvTranspose2d(2, 3, 3, { ...options, device: where });
      const mine = { weight: { ...weight, data: (weight.data as Float32Array).slice() }, bias };
      layer.loadStateDict(mine);
      mine.weight.data.fill(99);
      const state = await layer.stateDict();
      expect(state.weight.data).toEqual(weight.data);
      (state.weight.data as Float32Array).fill(99);
      expect(wrong(await layer.forward(input), input)).toBeUndefined();
      layer.destroy();
    }
  });
});

describe('calls', () => {
  test('many at once, on one layer and on many, of several shapes, do not disturb each other', async () => {
    for (const where of ['cpu', device] as const) {
      const layers = Array.from({ length: 4 }, () => layerOn(where));
      const inputs = Array.from({ length: 12 }, (_, i) => integerTensor([1 + (i % 2), 2, 3 + (i % 5), 4], i));
      const results = await Promise.all(layers.flatMap((layer) => inputs.map((each) => layer.forward(each))));
      results.forEach((result, i) => {
        expect(wrong(result, inputs[i % 12]!)).toBeUndefined();
      });
      layers.forEach((layer) => {
        layer.destroy();
      });
    }
    expect(count.live.size).toBe(0);
  });

  test('each sees the weights that were loaded last, prepared or not', async () => {
    for (const where of ['cpu', device] as const) {
      const layer = layerOn(where);
      for (const seed of [1, 2, 3]) {
        const state = { weight: integerTensor([2, 3, 3, 3], seed), bias: integerTensor([3], -seed) };
        layer.loadStateDict(state);
        if (seed === 2) await layer.prepare(input.shape);
        expect(mismatch(await layer.forward(input), { input, ...state, options }, { lane: 'exact' })).toBeUndefined();
      }
      layer.destroy();
    }
  });

  test('two layers in one encoder, the first feeds the second', async () => {
    const first = layerOn(device);
    const second = new ConvTranspose2d(3, 2, 2, { device, bias: false, activation: 'relu' });
    const after = integerTensor([3, 2, 2, 2], 9);
    second.loadStateDict({ weight: after });
    const result = await inScopes(device, () => {
      const encoder = device.createCommandEncoder({ label: 'chain' });
      const output = second.encode(encoder, first.encode(encoder, upload(device, input)));
      device.queue.submit([encoder.finish()]);
      return output;
    });
    const between = await first.forward(input);
    const problem = { input: between, weight: after, options: { activation: 'relu' } } as const;
    expect(mismatch(await download(device, result), problem, { lane: 'exact' })).toBeUndefined();
    first.destroy();
    second.destroy();
  });

  test('unbatched, a zero batch, and both through encode', async () => {
    for (const where of ['cpu', device] as const) {
      const layer = layerOn(where);
      const image = integerTensor([2, 4, 4], 1);
      const none = integerTensor([0, 2, 4, 4], 1);
      expect(wrong(await layer.forward(image), image)).toBeUndefined();
      expect(await layer.forward(none)).toEqual({ shape: [0, 3, 7, 7], data: new Float32Array(0) });
      if (where === 'cpu') continue;
      const outputs = await inScopes(device, () => {
        const encoder = device.createCommandEncoder({ label: 'test' });
        const encoded = [image, none].map((each) => layer.encode(encoder, upload(device, each)));
        device.queue.submit([encoder.finish()]);
        return encoded;
      });
      expect(wrong(await download(device, outputs[0]!), image)).toBeUndefined();
      expect(await download(device, outputs[1]!)).toEqual({ shape: [0, 3, 7, 7], data: new Float32Array(0) });
      layer.destroy();
    }
  });

  test("a call's output is written and returned, in whatever memory it lies", async () => {
    const shape = [1, 3, 7, 7];
    for (const where of ['cpu', device] as const) {
      const layer = layerOn(where);
      const plain = { shape, data: new Float32Array(147).fill(NaN) };
      const memory = new Float32Array(200).fill(5);
      const view = { shape, data: memory.subarray(11, 158) };
      for (const output of [plain, view]) {
        expect(await layer.forward(input, { output })).toBe(output);
        expect(wrong(output, input)).toBeUndefined();
      }
      expect([memory[10], memory[158]]).toEqual([5, 5]);
      const empty = { shape: [0, 3, 7, 7], data: new Float32Array(0) };
      expect(await layer.forward(integerTensor([0, 2, 4, 4], 1), { output: empty })).toBe(empty);
      layer.destroy();
    }
  });

  test('an output that shares memory with the input', async () => {
    for (const where of ['cpu', device] as const) {
      const layer = layerOn(where);
      const memory = new Float32Array(200);
      for (const [from, to] of [
        [0, 0],
        [100, 20],
        [20, 30],
      ] as const) {
        memory.set(input.data, from);
        const shared = { shape: input.shape, data: memory.subarray(from, from + 32) };
        const output = { shape: [1, 3, 7, 7], data: memory.subarray(to, to + 147) };
        expect(await layer.forward(shared, { output })).toBe(output);
        expect(wrong(output, input)).toBeUndefined();
      }
      layer.destroy();
    }
  });

  test('memory shared between threads', async () => {
    const share = ({ shape, data }: HostTensor): HostTensor => {
      // There even where a page may not name SharedArrayBuffer.
      const { buffer } = new WebAssembly.Memory({ initial: 1, maximum: 1, shared: true });
      const shared = new Float32Array(buffer, 4, data.length);
      shared.set(data);
      return { shape, data: shared };
    };
    for (const where of ['cpu', device] as const) {
      const layer = new ConvTranspose2d(2, 3, 3, { ...options, device: where });
      layer.loadStateDict({ weight: share(weight), bias: share(bias) });
      const output = share({ shape: [1, 3, 7, 7], data: new Float32Array(147) });
      expect(await layer.forward(share(input), { output })).toBe(output);
      expect(wrong(output, input)).toBeUndefined();
      expect(wrong(await layer.forward(share(input)), input)).toBeUndefined();
      layer.destroy();
    }
  });

  test('GPU tensors far into larger buffers, input and output; nothing beside the output is written', async () => {
    for (const dtype of ['float32', 'float16'] as const) {
      const layer = new ConvTranspose2d(2, 3, 3, { ...options, device, dtype });
      const state = { weight: integerTensor([2, 3, 3, 3], 2, 4, dtype), bias: integerTensor([3], 3, 4, dtype) };
      layer.loadStateDict(state);
      const call = integerTensor([2, 4, 4], 1, 4, dtype);
      const offset = 3 * device.limits.minStorageBufferOffsetAlignment;
      const bytes = (shape: readonly number[]): number => lengthOf(shape) * (dtype === 'float32' ? 4 : 2);
      const [from, to] = [call.shape, [3, 7, 7]].map((shape, i) => {
        const tail = Math.ceil(bytes(shape) / 4) * 4 + 4 * i;
        const data = new Float32Array((offset + tail) / 4).fill(7);
        if (i === 0) new Uint8Array(data.buffer).set(bytesOf(call.data), offset);
        return { shape, buffer: upload(device, { shape: [data.length], data }).buffer, offset, dtype };
      }) as [GpuTensor, GpuTensor];
      await inScopes(device, () => {
        const encoder = device.createCommandEncoder({ label: 'offsets' });
        layer.encode(encoder, from, to);
        device.queue.submit([encoder.finish()]);
      });
      const problem = { input: call, ...state, options };
      expect(mismatch(await download(device, to), problem, { lane: 'exact' })).toBeUndefined();
      const around = valuesOf(await download(device, { shape: [to.buffer.size / 4], buffer: to.buffer }));
      expect(new Set(around.slice(0, offset / 4))).toEqual(new Set([7]));
      expect(around[around.length - 1]).toBe(7);
      layer.destroy();
    }
  });
});

describe('endings', () => {
  test('calls under way reject with DESTROYED when their layer goes, and leave nothing', async () => {
    for (let turns = 0; turns < 12; turns++) {
      const layer = layerOn(device);
      if (turns % 2) await layer.prepare(input.shape);
      const pending = [errorOf(layer.forward(input)), errorOf(layer.prepare([1, 2, 5, 5])), errorOf(layer.stateDict())];
      for (let turn = 0; turn < turns; turn++) await (turn % 3 ? undefined : new Promise((done) => setTimeout(done)));
      layer.destroy();
      for (const error of await Promise.all(pending)) {
        if (error !== undefined) expect(error).toMatchObject({ code: 'DESTROYED' });
      }
    }
    expect([count.live.size, count.bytes]).toEqual([0, 0]);
  });

  test('memory that is given away under a call fails it at most: the next is right, and nothing is left', async () => {
    const layer = new ConvTranspose2d(2, 3, 3, { ...options, device });
    layer.loadStateDict({ weight, bias });
    const shape = layer.outputShape(input.shape);
    let failed = 0;
    for (const given of ['input', 'output'] as const) {
      for (let turns = 0; turns < 8; turns++) {
        const tensors = { input: integerTensor(input.shape, 1), output: integerTensor(shape, 1) };
        const pending = layer.forward(tensors.input, { output: tensors.output });
        const outcome = errorOf(pending);
        for (let turn = 0; turn < turns; turn++) await (turn % 2 ? new Promise((done) => setTimeout(done)) : undefined);
        const buffer = tensors[given].data.buffer as ArrayBuffer;
        structuredClone(buffer, { transfer: [buffer] });
        const error = await outcome;
        if (error !== undefined) failed++;
        else if (given === 'input') expect(wrong(await pending, input)).toBeUndefined();
      }
    }
    expect(failed).toBeGreaterThan(0);
    expect(wrong(await layer.forward(input), input)).toBeUndefined();
    layer.destroy();
    expect(count.live.size).toBe(0);
  });

  test('on the CPU as well', async () => {
    const layer = layerOn('cpu');
    const pending = errorOf(layer.forward(input));
    layer.destroy();
    expect(await pending).toMatchObject({ code: 'DESTROYED' });
  });

  test('a buffer that cannot be made fails one call: the next is right, and nothing is left', async () => {
    const made: string[] = [];
    /** The call, counted over all buffers, whose buffer is invalid. */
    let failing = -1;
    const create = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const invalid = made.push(descriptor.label ?? '') - 1 === failing;
      return create(invalid ? { ...descriptor, usage: descriptor.usage | GPUBufferUsage.MAP_WRITE } : descriptor);
    };
    const call = integerTensor([2, 4, 4], 1, 4, 'float16');
    const state = { weight: integerTensor([2, 3, 3, 3], 2, 4, 'float16'), bias: integerTensor([3], 3, 4, 'float16') };
    const tried = new Set<string>();
    for (let nth = 0, more = true; more; nth++) {
      const layer = new ConvTranspose2d(2, 3, 3, { ...options, device, dtype: 'float16' });
      layer.loadStateDict(state);
      failing = made.length + nth;
      const error = await errorOf(layer.forward(call));
      more = failing < made.length;
      if (more) {
        tried.add(made[failing]!);
        expect(error, made[failing]).toMatchObject({ code: 'GPU_ERROR' });
      }
      failing = -1;
      const result = await layer.forward(call);
      expect(mismatch(result, { input: call, ...state, options }, { lane: 'exact' })).toBeUndefined();
      layer.destroy();
    }
    expect([...tried].sort()).toEqual(
      [
        ...['expandedInput', 'expandedOutput', 'input', 'output', 'packed bias', 'packed weight'],
        ...['readback', 'tables'],
      ].map((name) => `conv-transpose2d ${name}`),
    );
    expect([count.live.size, count.bytes]).toEqual([0, 0]);
  });

  test('a lost device rejects every call with DEVICE_LOST', async () => {
    const doomed = await testDevice({ label: `doomed device ${made++}` });
    const layer = layerOn(doomed);
    const pending = [layer.forward(input), layer.prepare([1, 2, 5, 5]), layer.forward(integerTensor([2, 9, 9], 1))];
    const errors = pending.map(errorOf);
    doomed.destroy();
    await doomed.lost;
    const after = [layer.forward(input), layer.prepare([1, 2, 6, 6]), download(doomed, upload(doomed, input))];
    for (const error of await Promise.all([...errors, ...after.map(errorOf)])) {
      if (error !== undefined) expect(error).toMatchObject({ code: 'DEVICE_LOST' });
    }
    expect(await errorOf(layer.forward(input))).toMatchObject({ code: 'DEVICE_LOST' });
    layer.destroy();
  });
});

test('upload and download take a GPU device, which requestDevice need not give', async () => {
  for (const none of ['cpu', null, undefined, {}] as unknown as GPUDevice[]) {
    expect(() => upload(none, input)).toThrow(/^device is .* it must be a GPUDevice/);
    expect(await errorOf(download(none, upload(device, input)))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  }
});

describe('requestDevice', () => {
  test('an adapter in software: the CPU with the reason, UNSUPPORTED, or the GPU, as asked', async () => {
    const { info } = await testAdapter();
    if (!info.isFallbackAdapter && !/swiftshader|llvmpipe|lavapipe/i.test(Object.values(infoOf(info)).join(' '))) {
      expect(await requestDevice({ fallback: 'throw' })).toHaveProperty('queue');
      return;
    }
    const reasons: string[] = [];
    expect(await requestDevice({ onFallback: (reason) => reasons.push(reason) })).toBe('cpu');
    expect(reasons).toEqual([expect.stringMatching(/software/)]);
    const thrown = await errorOf(requestDevice({ fallback: 'throw' }));
    expect(thrown).toBeInstanceOf(ConvTranspose2dError);
    expect(thrown).toMatchObject({ code: 'UNSUPPORTED', message: reasons[0] });

    const got = await requestDevice({ allowSoftware: true, fallback: 'throw' });
    if (got === 'cpu') throw new Error('a GPU was asked for');
    const { limits, features } = await testAdapter();
    expect(got.limits.maxStorageBufferBindingSize).toBe(limits.maxStorageBufferBindingSize);
    expect(got.features.has('shader-f16')).toBe(features.has('shader-f16'));
    expect(wrong(await convTranspose2d(input, weight, bias, { ...options, device: got }), input)).toBeUndefined();
    got.destroy();
  });

  test("a layer without a device takes the page's own at its first call", async () => {
    const layer = new ConvTranspose2d(2, 3, 3, options);
    layer.loadStateDict({ weight, bias });
    expect(layer.device).toBeUndefined();
    expect(layer.plan(input.shape).device).toBe('assumed');
    expect(wrong(await layer.forward(input), input)).toBeUndefined();
    expect(layer.device).toBe((await requestDevice()) === 'cpu' ? 'cpu' : layer.device);
    expect(layer.device).toBeDefined();
    expect(layer.plan(input.shape).device).toBe(layer.device === 'cpu' ? 'cpu' : 'webgpu');
    layer.destroy();
  });
});

const infoOf = ({ vendor, architecture, device: name, description }: GPUAdapterInfo): object => ({
  vendor,
  architecture,
  name,
  description,
});
