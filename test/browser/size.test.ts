// A tensor beyond what a binding may hold by default, for real: 132 MiB in, 132 MiB out.
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
