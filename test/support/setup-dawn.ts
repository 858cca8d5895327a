/** Runs before each test file in Node: Dawn, from npm's `webgpu`, becomes `navigator.gpu`. */
import { afterAll, afterEach, expect } from 'vitest';
import { create, globals } from 'webgpu';
import { destroyDevices, takeGpuFailures, watchAllDevices } from './gpu.ts';

Object.assign(globalThis, globals);
// Dawn crashes when its GPU is collected while devices live. A property of globalThis is never collected.
const gpu = create([]);
Object.defineProperty(globalThis, 'dawn', { value: gpu });
Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
watchAllDevices(GPUAdapter.prototype);

function expectNoErrors(): void {
  expect(takeGpuFailures(), 'uncaptured GPU errors and lost devices').toEqual([]);
}

afterEach(expectNoErrors);
afterAll(async () => {
  await destroyDevices();
  expectNoErrors();
});
