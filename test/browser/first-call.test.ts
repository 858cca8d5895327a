// On a software adapter the first forward of a shape does not wait for the large tile: a small one of the same kernel
// compiles sooner and computes the same. The large one is compiled beside the second call and taken by those that follow.
import { expect, test } from 'vitest';
import { resolveOptions } from '../../src/options.ts';
import { type LayerPlan, planLayer } from '../../src/plan.ts';
import { capabilitiesOf } from '../../src/webgpu/device.ts';
import { GpuLayer } from '../../src/webgpu/layer.ts';
import { upload, download } from '../../src/webgpu/buffers.ts';
import type { HostTensor } from '../../src/types.ts';
import { testDevice } from '../support/gpu.ts';
import { integerTensor } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

/** Many output channels by texels, and few from buffers. */
const layers = {
  'phase-registers': { channels: 40, kernel: 3, stride: 2 },
  'all-phases-registers': { channels: 3, kernel: 4, stride: 2 },
} as const;
const inChannels = 24;
const input = integerTensor([1, inChannels, 24, 24], 1);

let made = 0;

/** A layer on a new device that is taken for a software adapter, and the tiles that it compiles, as positions × vec4s. */
async function setUp(kernel: keyof typeof layers) {
  const { channels, kernel: size, stride } = layers[kernel];
  const device = await testDevice({ label: `first call ${made++}` });
  const compiled: string[] = [];
  const passes: string[] = [];
  const compiling: Promise<unknown>[] = [];
  const note = ({ label, compute: { constants } }: GPUComputePipelineDescriptor): void => {
    const kernel = label?.replace('conv-transpose2d ', '') ?? '';
    if (kernel.includes('registers')) compiled.push(tile(kernel, constants));
    else passes.push(kernel);
  };
  const [now, soon] = [device.createComputePipeline.bind(device), device.createComputePipelineAsync.bind(device)];
  device.createComputePipeline = (descriptor) => {
    note(descriptor);
    return now(descriptor);
  };
  device.createComputePipelineAsync = (descriptor) => {
    note(descriptor);
    const pipeline = soon(descriptor);
    compiling.push(pipeline);
    return pipeline;
  };
  const { spec } = resolveOptions(inChannels, channels, size, { stride, padding: 1 });
  const capabilities = { ...capabilitiesOf(device, 'forced'), software: true };
  const layerPlan = planLayer(spec, input.shape, undefined, capabilities);
  expect(layerPlan.plan.kernel).toBe(kernel);
  const layer = new GpuLayer(device, spec, capabilities);
  const weight = integerTensor([inChannels, channels, size, size], 2);
  const bias = integerTensor([channels], 3);
  layer.loadHost({ weight, bias });
  const wrong = (output: HostTensor): string | undefined =>
    mismatch(output, { input, weight, bias, options: { stride, padding: 1 } }, { lane: 'exact' });
  return { device, layer, layerPlan, compiled, passes, compiling, wrong };
}

const tile = (kernel: string | undefined, constants: Readonly<Record<string, number>> | undefined): string =>
  `${kernel} ${constants?.['POSITIONS']} × ${constants?.['VECTORS']}`;
const tiles = ({ parts }: LayerPlan): { quick: string; large: string } => ({
  quick: tile(parts[0]?.quick?.kernel, parts[0]?.quick?.constants),
  large: tile(parts[0]?.choice.kernel, parts[0]?.choice.constants),
});

test.for(['phase-registers', 'all-phases-registers'] as const)('%s: forward, call by call', async (kernel) => {
  const { device, layer, layerPlan, compiled, compiling, wrong } = await setUp(kernel);
  const { quick, large } = tiles(layerPlan);
  expect(quick).not.toBe(large);
  if (kernel === 'phase-registers') expect(layerPlan.parts[0]?.quick?.kernel).toBe('phase-registers-quick');
  const passes: number[] = [];
  const begin = device.createCommandEncoder.bind(device);
  const workgroups = (): number[] => passes.splice(0);
  device.createCommandEncoder = (descriptor) => {
    const encoder = begin(descriptor);
    const pass = encoder.beginComputePass.bind(encoder);
    encoder.beginComputePass = (of) => {
      const made = pass(of);
      const dispatch = made.dispatchWorkgroups.bind(made);
      made.dispatchWorkgroups = (x, y, z) => {
        passes.push(x * (y ?? 1) * (z ?? 1));
        dispatch(x, y, z);
      };
      return made;
    };
    return encoder;
  };
  const call = (): Promise<HostTensor> => layer.forward(layerPlan, input, undefined, undefined);

  expect(wrong(await call())).toBeUndefined();
  expect(compiled).toEqual([quick]);
  expect(workgroups().at(-1)).toBe(layerPlan.parts[0]?.choice.quick?.workgroups);

  expect(wrong(await call())).toBeUndefined();
  expect(compiled).toEqual([quick, large]);
  expect(workgroups().at(-1)).toBe(layerPlan.parts[0]?.choice.quick?.workgroups);

  await Promise.all(compiling);
  // Until the layer has heard of it, too.
  await new Promise((resolve) => setTimeout(resolve));
  expect(wrong(await call())).toBeUndefined();
  expect(compiled).toEqual([quick, large]);
  expect(workgroups().at(-1)).toBe(layerPlan.parts[0]?.choice.workgroups);
  layer.destroy();
});

test('the page packs weights and input of a first call itself: no pass is compiled before the second', async () => {
  const { layer, layerPlan, passes, wrong } = await setUp('phase-registers');
  const call = (): Promise<HostTensor> => layer.forward(layerPlan, input, undefined, undefined);
  expect(wrong(await call())).toBeUndefined();
  expect(passes).toEqual([]);
  expect(wrong(await call())).toBeUndefined();
  expect(passes).toEqual(['input-texels']);
  layer.destroy();
});

test('prepare compiles the large tile alone, before a forward or after it', async () => {
  const { device, layer, layerPlan, compiled, wrong } = await setUp('phase-registers');
  const { quick, large } = tiles(layerPlan);
  await layer.prepare(layerPlan);
  expect(compiled).toEqual([large]);
  expect(wrong(await layer.forward(layerPlan, input, undefined, undefined))).toBeUndefined();
  expect(compiled).toEqual([large]);
  layer.destroy();

  const other = await setUp('phase-registers');
  expect(other.device).not.toBe(device);
  await other.layer.forward(other.layerPlan, input, undefined, undefined);
  await other.layer.prepare(other.layerPlan);
  expect(other.compiled).toEqual([quick, large]);
  other.layer.destroy();
});

test('encode after forward waits for nothing and has the large tile compiled', async () => {
  const { device, layer, layerPlan, compiled, compiling, wrong } = await setUp('phase-registers');
  const { quick, large } = tiles(layerPlan);
  await layer.forward(layerPlan, input, undefined, undefined);
  const from = { ...upload(device, input), dtype: 'float32', offset: 0 } as const;
  const to = { ...upload(device, integerTensor(layerPlan.plan.outputShape, 4)), dtype: 'float32', offset: 0 } as const;
  const encoder = device.createCommandEncoder({ label: 'test' });
  const before = compiling.length;
  layer.encode(encoder, layerPlan, from, to);
  layer.encode(encoder, layerPlan, from, to);
  expect(compiling.length).toBeGreaterThan(before);
  device.queue.submit([encoder.finish()]);
  expect(wrong(await download(device, to))).toBeUndefined();
  await Promise.all(compiling);
  expect(compiled).toEqual([quick, large]);
  [from, to].forEach(({ buffer }) => {
    buffer.destroy();
  });
  layer.destroy();
});
