// What encode makes of its own, and what turns out invalid: the caller's scopes are told, and later calls make it anew.
import { describe, expect, test } from 'vitest';
import { ConvTranspose2d, ConvTranspose2dGradients, download, upload, type GpuTensor } from '../../src/index.ts';
import { convTranspose2dBackwardReference } from '../../src/reference.ts';
import { count, device } from '../support/counted-device.ts';
import { notCompiling, outOfMemory, sooner } from '../support/failing.ts';
import { inScopes } from '../support/scopes.ts';
import { integerTensor, valuesOf } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

const submit = (record: (encoder: GPUCommandEncoder) => void): Promise<void> =>
  inScopes(device, () => {
    const encoder = device.createCommandEncoder({ label: 'test' });
    record(encoder);
    device.queue.submit([encoder.finish()]);
  });

/** Many channels: weights and input as texels. */
const layers = {
  few: { channels: [2, 3], options: { stride: 2, padding: 1, dtype: 'float32' } },
  many: { channels: [16, 64], options: { stride: 2, padding: 1, dtype: 'float32' } },
  float16: { channels: [2, 3], options: { stride: 2, padding: 1, dtype: 'float16' } },
} as const;
const faults: [keyof typeof layers, 'buffer' | 'pipeline', string][] = [
  ['few', 'buffer', 'packed weight'],
  ['few', 'buffer', 'packed bias'],
  ['few', 'buffer', 'tables'],
  ['float16', 'buffer', 'expandedInput'],
  ['float16', 'buffer', 'expandedOutput'],
  ['few', 'pipeline', ''],
  ['many', 'pipeline', ''],
];

describe.each(['host', 'GPU'] as const)('%s weights', (where) => {
  /** What a load of GPU weights makes is told to the calls after it, and not to the caller's scopes: a call at once gives no numbers. */
  const ofLoad: typeof faults = [
    ['few', 'buffer', 'pack params'],
    ['few', 'pipeline', 'pack-weight'],
  ];
  const all = where === 'GPU' ? [...faults, ...ofLoad] : faults;
  test.each(all)('%s channels, %s %s', async (which, kind, name) => {
    const { channels, options } = layers[which];
    const { dtype, ...problem } = options;
    const [ins, outs] = channels;
    const layer = new ConvTranspose2d(ins, outs, 3, { ...options, device });
    const state = { weight: integerTensor([ins, outs, 3, 3], 2, 4, dtype), bias: integerTensor([outs], 3, 4, dtype) };
    const onGpu = { weight: upload(device, state.weight), bias: upload(device, state.bias) };
    const load = (): void => {
      layer.loadStateDict(where === 'host' ? state : onGpu);
    };
    const input = integerTensor([1, ins, 5, 4], 1, 4, dtype);
    const from = upload(device, input);
    let to: GpuTensor | undefined;
    const encode = async (): Promise<GpuTensor> => {
      await submit((encoder) => (to = layer.encode(encoder, from)));
      return to!;
    };
    const label = (text: string): boolean => text.startsWith('conv-transpose2d') && text.endsWith(name);
    let failed = 0;
    const fails = (text: string): boolean => label(text) && ++failed > 0;
    const stop =
      kind === 'buffer'
        ? outOfMemory(device, (descriptor) => fails(descriptor.label ?? ''))
        : notCompiling(device, fails);
    load();
    const error = await encode().then(
      () => undefined,
      (error: unknown) => error,
    );
    stop();
    expect(failed).toBeGreaterThan(0);
    if (ofLoad.some(([, , made]) => made === name)) {
      expect([...valuesOf(await download(device, to!))].some(Number.isFinite)).toBe(false);
    } else {
      expect(error).toBeInstanceOf(Error);
      // The first call after an error that was told; the load may have failed as well.
      if (where === 'GPU') load();
      await encode();
    }
    const right = await sooner(() => {
      if (where === 'GPU') load();
      return encode();
    });
    const judgement = { lane: 'exact', output: dtype } as const;
    expect(mismatch(await download(device, right), { input, ...state, options: problem }, judgement)).toBeUndefined();
    expect(mismatch(await layer.forward(input), { input, ...state, options: problem }, judgement)).toBeUndefined();
    layer.destroy();
    expect([...count.live.values()].filter((label) => !label.startsWith('conv-transpose2d tensor'))).toEqual([]);
  });
});

test.each([
  'gradient tables',
  "the output's gradient by class",
  'packed weight',
  'gradient-quads',
  'weight-gradient',
  '',
])('gradients: %s', async (name) => {
  const options = { stride: 2, padding: 1 } as const;
  const input = integerTensor([1, 2, 5, 4], 1);
  const weight = integerTensor([2, 3, 3, 3], 2);
  const gradients = new ConvTranspose2dGradients(2, 3, 3, { ...options, device });
  const gradOutput = integerTensor([1, 3, 9, 7], 3);
  const on = {
    input: upload(device, input),
    weight: upload(device, weight),
    gradOutput: upload(device, gradOutput),
  };
  const encode = async () => {
    let results: ReturnType<typeof gradients.encodeBackward<object>> | undefined;
    await submit((encoder) => (results = gradients.encodeBackward(encoder, on)));
    return results!;
  };
  let failed = 0;
  const fails = (text: string): boolean => text.startsWith('conv-transpose2d') && text.endsWith(name) && ++failed > 0;
  const stops = [outOfMemory(device, (descriptor) => fails(descriptor.label ?? '')), notCompiling(device, fails)];
  await expect(encode()).rejects.toThrow();
  expect(failed).toBeGreaterThan(0);
  stops.forEach((stop) => {
    stop();
  });
  const results = await sooner(encode);
  const wanted = convTranspose2dBackwardReference(gradOutput, input, weight, options);
  for (const which of ['gradInput', 'gradWeight', 'gradBias'] as const) {
    expect([...valuesOf(await download(device, results[which]))]).toEqual([...wanted[which].data]);
  }
  gradients.destroy();
  expect([...count.live.values()].filter((label) => !label.startsWith('conv-transpose2d tensor'))).toEqual([]);
});
