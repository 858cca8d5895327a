/** Runs before each test file in a browser. */
import { afterAll, afterEach, expect } from 'vitest';
import { commands } from 'vitest/browser';
import { destroyDevices, takeGpuFailures, watchAllDevices } from './gpu.ts';
import type {} from './puppeteer-provider.ts';

if ('GPUAdapter' in globalThis) watchAllDevices(GPUAdapter.prototype);

async function expectNoErrors(): Promise<void> {
  expect(takeGpuFailures(), 'uncaptured GPU errors and lost devices').toEqual([]);
  expect(await commands.takePageErrors(), 'errors in the console').toEqual([]);
}

afterEach(expectNoErrors);
afterAll(async () => {
  await destroyDevices();
  await expectNoErrors();
});
