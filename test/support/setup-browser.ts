/** Runs before each test file in a browser. */
import { expect } from 'vitest';
import { commands } from 'vitest/browser';
import { failOnGpuErrors } from './fail-on-gpu-errors.ts';
import type {} from './puppeteer-provider.ts';

failOnGpuErrors(async () => {
  expect(await commands.takePageErrors(), 'errors in the console').toEqual([]);
});
