// Asking for a device, and calls without one.
import { describe, expect, test } from 'vitest';
import {
  ConvTranspose2d,
  convTranspose2d,
  ConvTranspose2dError,
  download,
  requestDevice,
  upload,
} from '../../src/index.ts';
import { testAdapter, testDevice } from '../support/gpu.ts';
import { bias, errorOf, input, options, weight, wrong } from '../support/small-layer.ts';

test('upload and download take a GPU device, which requestDevice need not give', async () => {
  const device = await testDevice();
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
