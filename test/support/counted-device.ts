/** For each test of a file that imports this: a device of its own, with WebGPU's default limits, and what is made on it. */
import { beforeEach } from 'vitest';
import { Count } from './count.ts';
import { testDevice } from './gpu.ts';

/** No pipeline is compiled on it yet. */
export let device: GPUDevice;
export let count: Count;
let made = 0;

beforeEach(async () => {
  device = await testDevice({ label: `counted device ${made++}` });
  count = new Count(device);
});
