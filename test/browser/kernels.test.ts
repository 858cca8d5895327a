// Every kernel, forced onto random small shapes with tiny tiles, so that many workgroups, edges of tiles, several and empty
// phases and split sums all occur: exactly the reference's integers.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  allPhasesRegisters,
  direct,
  phaseGemm,
  phaseRegisters,
  phaseRegistersQuick,
  type KernelChoice,
  type RegisterTile,
  type Tile,
} from '../../src/kernels.ts';
import { resolveOptions } from '../../src/options.ts';
import type { Capabilities } from '../../src/capabilities.ts';
import { planLayer } from '../../src/plan.ts';
import type { Problem } from '../../src/problem.ts';
import type { HostTensor } from '../../src/types.ts';
import { capabilitiesOf } from '../../src/webgpu/device.ts';
import { GpuLayer } from '../../src/webgpu/layer.ts';
import { describeLayer, layers, type Layer } from '../support/arbitraries.ts';
import { runs, testDevice } from '../support/gpu.ts';
import { integerTensor } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

const phaseTiles: readonly RegisterTile[] = [
  { positions: 16, vectors: 8, lanes: 4 },
  { positions: 16, vectors: 3, lanes: 1 },
  { positions: 12, vectors: 6, lanes: 3 },
  { positions: 8, vectors: 4, lanes: 2 },
  { positions: 8, vectors: 1, lanes: 1 },
  { positions: 4, vectors: 2, lanes: 8 },
  { positions: 1, vectors: 8, lanes: 1 },
  { positions: 1, vectors: 4, lanes: 4 },
];
const allPhasesTiles = [
  { positions: 8, vectors: 4, lanes: 1 },
  { positions: 8, vectors: 3, lanes: 2 },
  { positions: 4, vectors: 1, lanes: 3 },
  { positions: 1, vectors: 4, lanes: 4 },
  // A workgroup of one block.
  { positions: 4, vectors: 2, lanes: 8 },
] as const;
const gemmTiles: readonly Omit<Tile, 'instructions'>[] = [
  { kernel: 'phase-gemm', positions: 16, channels: 16, depth: 4, each: 64 },
  { kernel: 'phase-gemm', positions: 32, channels: 16, depth: 4, each: 64 },
  { kernel: 'phase-gemm', positions: 64, channels: 64, depth: 16, each: 64 },
  { kernel: 'phase-gemm', positions: 128, channels: 32, depth: 16, each: 64 },
  { kernel: 'phase-gemm-small', positions: 4, channels: 4, depth: 3, each: 16 },
  { kernel: 'phase-gemm-small', positions: 16, channels: 8, depth: 8, each: 16 },
  { kernel: 'phase-gemm-small', positions: 64, channels: 16, depth: 16, each: 16 },
  { kernel: 'phase-gemm-small', positions: 32, channels: 32, depth: 16, each: 16 },
];

const kernels: Record<string, (problem: Problem) => KernelChoice> = {
  direct: (problem) => direct(problem, 'forced'),
  ...Object.fromEntries(
    phaseTiles.map((tile) => [
      `phase-registers ${tile.positions} × ${tile.vectors}`,
      (problem: Problem): KernelChoice => phaseRegisters(problem, tile)!,
    ]),
  ),
  'phase-registers-quick': (problem) => phaseRegistersQuick(problem)!,
  ...Object.fromEntries(
    allPhasesTiles.map((tile) => [
      `all-phases-registers ${tile.positions} × ${tile.vectors}`,
      (problem: Problem): KernelChoice => allPhasesRegisters(problem, tile) ?? phaseRegisters(problem, tile)!,
    ]),
  ),
  ...Object.fromEntries(
    gemmTiles.map((tile) => [
      `${tile.kernel} ${tile.positions} × ${tile.channels}, ${tile.depth} deep`,
      (problem: Problem): KernelChoice => phaseGemm(problem, { ...tile, instructions: 0 }),
    ]),
  ),
};

/** What the plan makes of a layer on forced capabilities. */
function planned({ input, weight, bias, options }: Layer, device: GPUDevice, forced: Partial<Capabilities>) {
  const [i, o, h, w] = channelsOf(weight.shape, options.weightLayout ?? 'IOHW');
  const { spec } = resolveOptions(i, o * (options.groups ?? 1), [h, w], { ...options, bias: bias !== undefined });
  const capabilities = { ...capabilitiesOf(device, 'forced'), ...forced };
  return { spec, capabilities, layerPlan: planLayer(spec, input.shape, undefined, capabilities) };
}

async function run(layer: Layer, device: GPUDevice, forced: Partial<Capabilities>): Promise<HostTensor> {
  const { spec, capabilities, layerPlan } = planned(layer, device, forced);
  const gpu = new GpuLayer(device, spec, capabilities);
  gpu.loadHost({ weight: layer.weight, bias: layer.bias });
  try {
    return await gpu.forward(layerPlan, layer.input, undefined, undefined);
  } finally {
    gpu.destroy();
  }
}

function channelsOf(shape: readonly number[], layout: 'IOHW' | 'HWOI' | 'OHWI'): [number, number, number, number] {
  const [a = 0, b = 0, c = 0, d = 0] = shape;
  return layout === 'IOHW' ? [a, b, c, d] : layout === 'HWOI' ? [d, c, a, b] : [d, a, b, c];
}

for (const [name, choose] of Object.entries(kernels)) {
  test(`${name} agrees exactly on random layers`, async () => {
    const device = await testDevice();
    const property = fc.asyncProperty(layers(), async (layer) => {
      const result = await run(layer, device, { choose });
      expect(mismatch(result, layer, { lane: 'exact' }), describeLayer(layer)).toBeUndefined();
    });
    await fc.assert(property, { numRuns: runs(150) });
  });
}

test('what a hardware GPU would choose agrees exactly on random layers', async () => {
  const device = await testDevice();
  const property = fc.asyncProperty(layers(), async (layer) => {
    const result = await run(layer, device, { software: false });
    expect(mismatch(result, layer, { lane: 'exact' }), describeLayer(layer)).toBeUndefined();
  });
  await fc.assert(property, { numRuns: runs(200) });
});

for (const [name, choose] of Object.entries(kernels)) {
  test(`${name} agrees exactly on more channels and positions than its tile has`, async () => {
    const device = await testDevice();
    const layer: Layer = {
      input: integerTensor([2, 39, 9, 11], 1),
      weight: integerTensor([39, 70, 3, 4], 2),
      bias: integerTensor([70], 3),
      options: { stride: [2, 3], padding: [1, 2], dilation: [2, 1] },
    };
    expect(mismatch(await run(layer, device, { choose }), layer, { lane: 'exact' })).toBeUndefined();
  });
}

for (const [name, choose] of Object.entries(kernels)) {
  test(`${name} leaves the bias alone 2³¹ rows beyond the full result`, async () => {
    const device = await testDevice();
    const [largest, dilation] = [2 ** 31 - 1, 2 ** 12];
    const layer: Layer = {
      input: integerTensor([1, 3, 2, 2], 1),
      weight: integerTensor([3, 5, 2, 1], 2),
      bias: integerTensor([5], 3),
      // The full result has dilation + 2 rows.
      options: { dilation: [dilation, 1], padding: [largest, 0, dilation - 2 - largest, 0] },
    };
    expect(mismatch(await run(layer, device, { choose }), layer, { lane: 'exact' })).toBeUndefined();
  });
}

test('limits far below any tensor: cut by batch, groups, channels and rows, random layers stay exact', async () => {
  const device = await testDevice();
  // A device's limits are no properties of its own: a spread has none of them.
  const { maxBufferSize, minStorageBufferOffsetAlignment } = device.limits;
  const few = { maxStorageBufferBindingSize: 1024, maxComputeWorkgroupsPerDimension: 7 };
  const small = { maxBufferSize, minStorageBufferOffsetAlignment, ...few };
  let [cut, refused] = [0, 0];
  const property = fc.asyncProperty(layers(), fc.constantFrom(...Object.values(kernels)), async (layer, choose) => {
    const forced = { limits: small, choose };
    let result: HostTensor;
    try {
      result = await run(layer, device, forced);
    } catch (error) {
      expect(error).toMatchObject({
        code: 'UNSUPPORTED',
        message: expect.stringMatching(/takes \d+ (bytes|workgroups).*allows/) as string,
      });
      refused++;
      return;
    }
    if (planned(layer, device, forced).layerPlan.plan.splits > 1) cut++;
    expect(mismatch(result, layer, { lane: 'exact' }), describeLayer(layer)).toBeUndefined();
  });
  await fc.assert(property, { numRuns: runs(600) });
  console.log(`${cut} of ${runs(600)} layers were cut, ${refused} refused`);
  // About every seventh is.
  expect(cut).toBeGreaterThan(0);
});
