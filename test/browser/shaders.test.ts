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

test.each([
  ['a round that loads nothing', { INVOCATIONS: 8 }],
  ['a round that loads more than DEPTH', { DEPTH: 3 }],
])('phase_gemm.wgsl with %s: no pipeline, not a loop without end', async (_, constants) => {
  const device = await testDevice();
  const code = files['../../shaders/phase_gemm.wgsl']!;
  const module = device.createShaderModule({ label: 'test', code });
  const compiled = (more: Record<string, number>): Promise<GPUComputePipeline> =>
    device.createComputePipelineAsync({
      ...{ label: 'test', layout: 'auto' },
      compute: { module, entryPoint: 'wide', constants: more },
    });
  await expect(compiled({})).resolves.toBeDefined();
  await expect(compiled(constants)).rejects.toThrow();
});
