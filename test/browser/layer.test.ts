// A layer's calls: many at once, in whatever memory, from host to host and recorded.
import { describe, expect, test } from 'vitest';
import { ConvTranspose2d, download, upload, type GpuTensor, type HostTensor } from '../../src/index.ts';
import { bytesOf } from '../../src/tensors.ts';
import { count, device } from '../support/counted-device.ts';
import { inScopes } from '../support/scopes.ts';
import { bias, input, layerOn, options, weight, wrong } from '../support/small-layer.ts';
import { integerTensor, lengthOf, valuesOf } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

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

  test('a result is the caller’s own, its shape too', async () => {
    for (const where of ['cpu', device] as const) {
      const layer = layerOn(where);
      for (const from of [input, { shape: [0, 2, 4, 4], data: new Float32Array(0) }]) {
        const { shape } = await layer.forward(from);
        (shape as number[]).unshift(1);
        expect((await layer.forward(from)).shape).toEqual(shape.slice(1));
      }
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
