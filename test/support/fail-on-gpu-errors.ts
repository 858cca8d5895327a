import { afterAll, afterEach, expect } from 'vitest';
import { destroyDevices, takeGpuFailures, watchAllDevices } from './gpu.ts';

/** Has each test of the file fail on a GPU error that nobody took, and on what `alsoHold` holds. */
export function failOnGpuErrors(alsoHold?: () => Promise<void>): void {
  if ('GPUAdapter' in globalThis) watchAllDevices(GPUAdapter.prototype);
  async function expectNoErrors(): Promise<void> {
    expect(takeGpuFailures(), 'uncaptured GPU errors and lost devices').toEqual([]);
    await alsoHold?.();
  }
  afterEach(expectNoErrors);
  afterAll(async () => {
    await destroyDevices();
    await expectNoErrors();
  });
}
