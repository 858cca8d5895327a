// Parameters: packed on the GPU as on the host, and read back.
import { describe, expect, test } from 'vitest';
import {
  ConvTranspose2d,
  download,
  upload,
  type ConvTranspose2dOptions,
  type GpuTensor,
  type HostTensor,
} from '../../src/index.ts';
import { weightShape } from '../../src/layouts.ts';
import { resolveOptions } from '../../src/options.ts';
import { packedElements, packWeight } from '../../src/packing.ts';
import { bytesOf, toFloat32Array } from '../../src/tensors.ts';
import { count, device } from '../support/counted-device.ts';
import { inScopes } from '../support/scopes.ts';
import { bias, input, options, weight, wrong } from '../support/small-layer.ts';
import { integerTensor, valuesOf } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

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

  test('a state dict has the parameters that were there when it was asked for, whatever is loaded next', async () => {
    const other = integerTensor(weight.shape, 9);
    const onGpu = (tensor: HostTensor): GpuTensor => upload(device, tensor);
    const gone = onGpu(other);
    gone.buffer.destroy();
    const others = [
      { weight: other, bias },
      { weight: onGpu(other), bias: onGpu(bias) },
      { weight: gone, bias: onGpu(bias) },
    ];
    for (const [first, second] of others.flatMap((one) => others.map((another) => [one, another] as const))) {
      for (const isPacked of [false, true]) {
        const layer = new ConvTranspose2d(2, 3, 3, { ...options, device });
        layer.loadStateDict({ weight: onGpu(weight), bias: onGpu(bias) });
        if (isPacked) await layer.prepare(input.shape);
        const asked = layer.stateDict();
        layer.loadStateDict(first);
        layer.loadStateDict(second);
        const state = await asked;
        expect([state.weight.data, state.bias!.data]).toEqual([weight.data, bias.data]);
        layer.destroy();
      }
    }
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
