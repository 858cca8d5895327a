// The shaders as they are written: what is published as files, and what a page without the build's shortening compiles.
import { expect, test } from 'vitest';
import { testDevice } from '../support/gpu.ts';

const files = import.meta.glob<string>('../../shaders/*.wgsl', { query: '?url', import: 'default', eager: true });

test('there are shaders', () => {
  expect(Object.keys(files).length).toBeGreaterThan(8);
});

test.each(Object.entries(files))('%s compiles alone', async (_, address) => {
  const code = await (await fetch(address)).text();
  expect(code).toMatch(/^\/\/ /);
  const device = await testDevice();
  device.pushErrorScope('validation');
  const module = device.createShaderModule({ label: 'test', code });
  const { messages } = await module.getCompilationInfo();
  expect(messages.map(({ lineNum, message }) => `${lineNum}: ${message}`)).toEqual([]);
  expect(await device.popErrorScope()).toBeNull();
});
