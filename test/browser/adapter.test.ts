import { expect, test } from 'vitest';
import { testDevice } from '../support/gpu.ts';
import { inScopes } from '../support/scopes.ts';

const code = /* wgsl */ `
@group(0) @binding(0) var<storage, read_write> numbers: array<u32>;
@compute @workgroup_size(4) fn square(@builtin(global_invocation_id) id: vec3u) { numbers[id.x] = id.x * id.x; }
`;

test('the adapter computes', async () => {
  const device = await testDevice();
  const { STORAGE, COPY_SRC, COPY_DST, MAP_READ } = GPUBufferUsage;

  const readback = await inScopes(device, () => {
    const numbers = device.createBuffer({ label: 'numbers', size: 16, usage: STORAGE | COPY_SRC });
    const readback = device.createBuffer({ label: 'readback', size: 16, usage: COPY_DST | MAP_READ });
    const module = device.createShaderModule({ label: 'square', code });
    const pipeline = device.createComputePipeline({ label: 'square', layout: 'auto', compute: { module } });
    const layout = pipeline.getBindGroupLayout(0);
    const entries = [{ binding: 0, resource: { buffer: numbers } }];
    const bindGroup = device.createBindGroup({ label: 'square', layout, entries });
    const encoder = device.createCommandEncoder({ label: 'square' });
    const pass = encoder.beginComputePass({ label: 'square' });
    pass.setPipeline(pipeline);
    pass.setBindGroup(0, bindGroup);
    pass.dispatchWorkgroups(1);
    pass.end();
    encoder.copyBufferToBuffer(numbers, 0, readback, 0, 16);
    device.queue.submit([encoder.finish()]);
    return readback;
  });

  await readback.mapAsync(GPUMapMode.READ);
  expect([...new Uint32Array(readback.getMappedRange())]).toEqual([0, 1, 4, 9]);
});

test('error scopes report what went wrong in a segment', async () => {
  const device = await testDevice();
  const tooLarge = device.limits.maxBufferSize + 4;
  const segment = (): GPUBuffer =>
    device.createBuffer({ label: 'too large', size: tooLarge, usage: GPUBufferUsage.STORAGE });
  await expect(inScopes(device, segment)).rejects.toThrow('GPUValidationError');
});

test('the tests run on a device of default limits without optional features', async () => {
  const { limits, features } = await testDevice();
  expect(limits.maxStorageBufferBindingSize).toBe(128 * 2 ** 20);
  expect(limits.maxBufferSize).toBe(256 * 2 ** 20);
  expect(limits.maxComputeWorkgroupStorageSize).toBe(16384);
  expect(limits.maxComputeInvocationsPerWorkgroup).toBe(256);
  // What every device of the core specification has by name, where the browser knows the name.
  expect([...features].filter((feature) => feature !== 'core-features-and-limits')).toEqual([]);
});
