// Sizes for real: a tensor beyond what a binding may hold by default, 132 MiB in, 132 MiB out; and far more outputs than inputs.
import { expect, test } from 'vitest';
import { ConvTranspose2d } from '../../src/index.ts';
import { testDevice } from '../support/gpu.ts';

const [height, width] = [4096, 4224];
const pixels = height * width;

test('two groups of 66 MiB are bound one after the other, exactly', async () => {
  // WebGPU's default limits, whatever the adapter has.
  const device = await testDevice({ label: 'device of default limits' });
  const shape = [1, 2, height, width];
  const input = { shape, data: Float32Array.from({ length: 2 * pixels }, (_, at) => at % 8191) };
  expect(input.data.byteLength).toBeGreaterThan(device.limits.maxStorageBufferBindingSize);
  const layer = new ConvTranspose2d(2, 2, 1, { device, groups: 2 });
  layer.loadStateDict({
    weight: { shape: [2, 1, 1, 1], data: Float32Array.of(2, 3) },
    bias: { shape: [2], data: Float32Array.of(1, -1) },
  });
  expect(layer.plan(shape).splits).toBeGreaterThan(1);
  const { data } = await layer.forward(input, { output: { shape, data: new Float32Array(2 * pixels).fill(NaN) } });
  let wrong = 0;
  for (let at = 0; at < data.length; at++) {
    const expected = at < pixels ? 2 * (at % 8191) + 1 : 3 * (at % 8191) - 1;
    if (data[at] !== expected) wrong++;
  }
  expect(wrong).toBe(0);
  layer.destroy();
});

test.each(['cpu', 'webgpu'])('%s: one input and taps a thousand apart, exactly', async (name) => {
  const device = name === 'cpu' ? name : await testDevice();
  const layer = new ConvTranspose2d(1, 1, 3, { device, dilation: 1000 });
  const weight = { shape: [1, 1, 3, 3], data: Float32Array.from({ length: 9 }, (_, tap) => tap + 1) };
  layer.loadStateDict({ weight, bias: { shape: [1], data: Float32Array.of(20) } });
  const { shape, data } = await layer.forward({ shape: [1, 1, 1, 1], data: Float32Array.of(2) });
  expect(shape).toEqual([1, 1, 2001, 2001]);
  let wrong = 0;
  for (let at = 0; at < data.length; at++) {
    const [row, column] = [Math.floor(at / 2001) / 1000, (at % 2001) / 1000];
    const reached = Number.isInteger(row) && Number.isInteger(column);
    if (data[at] !== 20 + (reached ? 2 * (3 * row + column + 1) : 0)) wrong++;
  }
  expect(wrong).toBe(0);
  layer.destroy();
});
