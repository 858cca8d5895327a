// Ten thousand calls of changing shapes: what lives on the GPU and in the page's memory is back to the start.
import { expect, test } from 'vitest';
import { commands } from 'vitest/browser';
import { ConvTranspose2d, upload, type ConvTranspose2dOptions, type DType, type GpuTensor } from '../../src/index.ts';
import { weightShape } from '../../src/layouts.ts';
import { resolveOptions } from '../../src/options.ts';
import { Count } from '../support/count.ts';
import { count as figure } from '../support/figures.ts';
import { testDevice } from '../support/gpu.ts';
import { inScopes } from '../support/scopes.ts';
import { integerTensor, randomFrom } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';
import type {} from '../support/puppeteer-provider.ts';

/** Bytes by which the heap of a page that leaks nothing may still differ: compiled code, the test runner's own. */
const HEAP_NOISE = 2 ** 20;

interface Kind {
  readonly channels: readonly [number, number];
  readonly options: ConvTranspose2dOptions;
  readonly dtype: DType;
}
const kinds: readonly Kind[] = [
  { channels: [2, 3], options: { stride: 2, padding: 1 }, dtype: 'float32' },
  { channels: [4, 6], options: { stride: [1, 3], groups: 2, layout: 'NHWC', activation: 'relu' }, dtype: 'float32' },
  { channels: [3, 2], options: { stride: 3, dilation: 2, outputPadding: 1 }, dtype: 'float16' },
];

function layersOn(device: GPUDevice | 'cpu') {
  return kinds.map(({ channels: [ins, outs], options, dtype }) => {
    const layer = new ConvTranspose2d(ins, outs, 3, { ...options, dtype, device });
    const { spec } = resolveOptions(ins, outs, 3, { ...options, dtype });
    const state = { weight: integerTensor(weightShape(spec), 1, 2, dtype), bias: integerTensor([outs], 2, 2, dtype) };
    layer.loadStateDict(state);
    return { layer, ...state, options, ins, dtype };
  });
}

async function forwards(device: GPUDevice | 'cpu', calls: number): Promise<void> {
  const layers = layersOn(device);
  const next = randomFrom(calls);
  for (let call = 0; call < calls; call++) {
    const { layer, weight, bias, options, ins, dtype } = layers[call % layers.length]!;
    const [batch, height, width] = [Math.floor(3 * next()), 1 + Math.floor(24 * next()), 1 + Math.floor(12 * next())];
    const image = options.layout === 'NHWC' ? [height, width, ins] : [ins, height, width];
    const input = integerTensor([batch, ...image], call, 2, dtype);
    const output = await layer.forward(input);
    if (call % 100 > 0) continue;
    expect(mismatch(output, { input, weight, bias, options }, { lane: 'exact', output: dtype })).toBeUndefined();
  }
  for (const { layer } of layers) layer.destroy();
}

test.for([
  ['the GPU', 10_000],
  ['the CPU', 3_000],
] as const)('forwards of changing shapes on %s: %i', async ([where, calls], context) => {
  const device = await testDevice();
  const counted = new Count(device);
  await forwards(where === 'the GPU' ? device : 'cpu', 600);
  expect([counted.live.size, counted.bytes]).toEqual([0, 0]);
  const before = await commands.collectedHeap();

  await forwards(where === 'the GPU' ? device : 'cpu', calls);
  expect([counted.live.size, counted.bytes]).toEqual([0, 0]);
  const left = (await commands.collectedHeap()) - before;
  console.log(`${calls} forwards on ${where}: heap ${before} bytes before, ${left} more after`);
  expect(left).toBeLessThan(HEAP_NOISE);
  figure(context, 'forwards soaked', calls);
  figure(context, 'bytes left on the GPU', counted.bytes);
});

test('encodes of 2,000 shapes, one after the other: what the layer no longer needs is collected', async () => {
  const device = await testDevice({ label: 'device without a count' });
  const living = new Set<WeakRef<GPUBuffer>>();
  const create = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    const buffer = create(descriptor);
    if (descriptor.label === 'conv-transpose2d tables') living.add(new WeakRef(buffer));
    return buffer;
  };
  const layer = new ConvTranspose2d(2, 3, 3, { device });
  const from = upload(device, integerTensor([1, 2, 100, 20], 1));
  const to = upload(device, integerTensor([1, 3, 102, 22], 1));
  const made: GpuTensor[] = [];
  for (let at = 0; at < 2000; at++) {
    const [height, width] = [1 + (at % 100), 1 + Math.floor(at / 100)];
    await inScopes(device, () => {
      const encoder = device.createCommandEncoder({ label: 'one of many shapes' });
      made.push(
        layer.encode(
          encoder,
          { ...from, shape: [1, 2, height, width] },
          { ...to, shape: [1, 3, height + 2, width + 2] },
        ),
      );
      device.queue.submit([encoder.finish()]);
    });
    made.length = 0;
  }
  await device.queue.onSubmittedWorkDone();
  await commands.collectedHeap();
  const left = [...living].filter((reference) => reference.deref() !== undefined).length;
  expect(living.size).toBe(2000);
  expect(left).toBeLessThanOrEqual(64 + 8);
  layer.destroy();
  from.buffer.destroy();
  to.buffer.destroy();
});
