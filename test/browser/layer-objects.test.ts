// What a layer makes on a GPU, keeps and lets go of, on a device that counts.
import { describe, expect, test } from 'vitest';
import { ConvTranspose2d, convTranspose2d, download, upload, type HostTensor } from '../../src/index.ts';
import { count, device } from '../support/counted-device.ts';
import { inScopes } from '../support/scopes.ts';
import { bias, errorOf, input, layerOn, options, weight, wrong } from '../support/small-layer.ts';
import { integerTensor } from '../support/tensors.ts';

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

  test('a shape is prepared whichever way its output size is said', async () => {
    const layer = layerOn(device);
    const [from, shape] = [upload(device, input), [1, 3, 8, 8]];
    const to = upload(device, { shape, data: new Float32Array(192) });
    await layer.prepare(input.shape, { outputSize: 8 });
    const encoder = device.createCommandEncoder({ label: 'test' });
    const made = count.during(() => layer.encode(encoder, from, to, { outputSize: [8, 8] }));
    expect(Object.keys(made)).toEqual(['BindGroup']);
    const least = upload(device, { shape: [1, 3, 7, 7], data: new Float32Array(147) });
    await layer.prepare(input.shape);
    const again = count.during(() => layer.encode(encoder, from, least, { outputSize: 7 }));
    expect(Object.keys(again)).toEqual(['BindGroup']);
    device.queue.submit([encoder.finish()]);
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
