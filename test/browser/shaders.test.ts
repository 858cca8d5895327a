// The shaders as they are written: what is published as files, and what a page without the build's shortening compiles.
import { expect, test } from 'vitest';
import { testDevice } from '../support/gpu.ts';

// The second word keeps the build's shortening away.
const files = import.meta.glob<string>('../../shaders/*.wgsl', {
  query: '?raw&as-written',
  import: 'default',
  eager: true,
});

test('there are shaders', () => {
  expect(Object.keys(files).length).toBeGreaterThan(8);
});

test.each(Object.entries(files))('%s compiles alone', async (_, code) => {
  expect(code).toMatch(/^\/\/ /);
  const device = await testDevice();
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label: 'test', code });
  const { messages } = await module.getCompilationInfo();
  expect(messages.map(({ lineNum, message }) => `${lineNum}: ${message}`)).toEqual([]);
  expect(await device.popErrorScope()).toBeNull();
});
