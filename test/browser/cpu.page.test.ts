// The CPU path in a page: every way to run gives the same numbers, and the plan says which it is.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { Cpu } from '../../src/cpu/cpu.ts';
import { ConvTranspose2d, convTranspose2d } from '../../src/index.ts';
import type { ConvTranspose2dOptions, HostTensor, Plan } from '../../src/types.ts';
import { describeLayer, layers, type Layer } from '../support/arbitraries.ts';
import { bigLayer, EagerCpu, forward, inThisTurn, make, ways } from '../support/cpu-ways.ts';
import { floatTensor, integerTensor, valuesOf, withValues } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

test('the page is cross-origin isolated, as this file needs it', () => {
  expect(crossOriginIsolated).toBe(true);
});

describe.each(Object.entries(ways))('%s', (_, settings) => {
  test('60 random integer layers are exact, 30 random float16 layers within the bound', async () => {
    const cpu = new EagerCpu(settings);
    const integers = fc.asyncProperty(layers(), async (layer) => {
      const made = make(cpu, layer);
      const result = await forward(made, layer.input);
      made.layer.destroy();
      expect(mismatch(result, layer, { lane: 'exact' }), describeLayer(layer)).toBeUndefined();
    });
    await fc.assert(integers, { numRuns: 60 });
    const halves = fc.asyncProperty(layers({ activations: 'none' }), fc.integer(), async (layer, seed) => {
      const half: Layer = {
        input: floatTensor(layer.input.shape, seed, 'float16'),
        weight: floatTensor(layer.weight.shape, seed + 1, 'float16'),
        bias: layer.bias && floatTensor(layer.bias.shape, seed + 2, 'float16'),
        options: layer.options,
      };
      const made = make(cpu, half);
      const result = await forward(made, half.input);
      made.layer.destroy();
      expect(mismatch(result, half, { lane: 'float', output: 'float16' }), describeLayer(half)).toBeUndefined();
    });
    await fc.assert(halves, { numRuns: 30 });
    cpu.dispose();
  });

  test('an output may lie where the input does', async () => {
    const cpu = new EagerCpu(settings);
    const layer: Layer = {
      input: integerTensor([1, 3, 9, 9], 1),
      weight: integerTensor([3, 3, 3, 3], 2),
      bias: undefined,
      options: { padding: 1 },
    };
    const made = make(cpu, layer);
    const data = (layer.input.data as Float32Array).slice();
    const output = { shape: layer.input.shape, data };
    await made.layer.forward(made.plan, { shape: layer.input.shape, data }, output, undefined);
    expect(mismatch(output, layer, { lane: 'exact' })).toBeUndefined();
    made.layer.destroy();
    cpu.dispose();
  });

  test('a call whose signal is aborted already computes nothing', async () => {
    const cpu = new EagerCpu(settings);
    const layer = bigLayer(1);
    const made = make(cpu, layer);
    const call = forward(made, layer.input, AbortSignal.abort(new Error('enough')));
    expect(await inThisTurn(call)).toMatchObject({ message: 'enough' });
    made.layer.destroy();
    cpu.dispose();
  });
});

test('a kernel of 200,000 columns', async () => {
  const weight = integerTensor([1, 1, 1, 200_000], 1);
  const input = { shape: [1, 1, 1, 1], data: Float32Array.of(1) };
  const values = valuesOf(await convTranspose2d(input, weight, null, { device: 'cpu' }));
  expect(values.every((value, i) => value === weight.data[i])).toBe(true);
});

test.each([
  [1, 2, 4e6],
  [2, 1, 4e6],
  [2, 2, 2000],
])('a kernel of %i × %i, its taps %i outputs apart', async (height, width, dilation) => {
  const weight = integerTensor([2, 1, height, width], 1);
  const input = integerTensor([1, 2, 1, 2], 2);
  const bias = integerTensor([1], 3);
  const options = { dilation, activation: 'relu' } as const;
  const result = await convTranspose2d(input, weight, bias, { ...options, device: 'cpu' });
  expect(mismatch(result, { input, weight, bias, options }, { lane: 'exact' })).toBeUndefined();
});

test('threads and one thread give the same numbers, bit by bit', async () => {
  const layer: Layer = {
    input: floatTensor([2, 40, 37, 41], 1),
    weight: floatTensor([40, 24, 4, 4], 2),
    bias: floatTensor([24], 3),
    options: { stride: 2, padding: 1, activation: 'gelu' },
  };
  const results: HostTensor[] = [];
  for (const settings of Object.values(ways).filter(({ variant }) => variant === 'relaxed-simd')) {
    const cpu = new EagerCpu(settings);
    const made = make(cpu, layer);
    const output = { shape: made.plan.plan.outputShape, data: new Float32Array(made.plan.outputElements) };
    expect(await made.layer.forward(made.plan, layer.input, output, undefined)).toBe(output);
    results.push(output);
    made.layer.destroy();
    cpu.dispose();
  }
  expect(results.length).toBe(5);
  for (const result of results) expect(valuesOf(result)).toEqual(valuesOf(results[0]!));
});

test('small work stays on the calling thread, which helps with more, and not with what is long', () => {
  const cpu = new Cpu({ variant: 'relaxed-simd', workers: true, shared: true, threads: 2 });
  expect(cpu.crewFor(2e7, 2e6)).toEqual({ workers: 0, caller: true });
  expect(cpu.crewFor(5e7, 2e6)).toEqual({ workers: 1, caller: true });
  expect(cpu.crewFor(1e9, 2e6)).toEqual({ workers: 1, caller: true });
  expect(cpu.crewFor(1e10, 2e6)).toEqual({ workers: 2, caller: false });
});

test('weights that are not finite spoil what they reach, and nothing else', async () => {
  const options: ConvTranspose2dOptions = { stride: 2, padding: 1 };
  const weight = floatTensor([2, 3, 3, 3], 1);
  weight.data[4] = Infinity;
  weight.data[30] = NaN;
  const input = floatTensor([1, 2, 5, 5], 2);
  const result = await convTranspose2d(input, weight, null, { ...options, device: 'cpu' });
  expect(mismatch(result, { input, weight, options }, { lane: 'spoiled' })).toBeUndefined();
});

test('the plan names the kernel and says why, with the weights that are loaded', () => {
  const layer = new ConvTranspose2d(2, 3, 3, { device: 'cpu', bias: false });
  const plan = (): Pick<Plan, 'kernel' | 'reason'> => layer.plan([1, 2, 4, 4]);
  expect(plan()).toMatchObject({
    kernel: 'wasm-relaxed-simd',
    reason: expect.stringMatching(/multiply-add/) as string,
  });
  const weight = floatTensor([2, 3, 3, 3], 1);
  layer.loadStateDict({ weight: withValues(weight, { 7: NaN }) });
  expect(plan()).toMatchObject({ kernel: 'plain', reason: expect.stringMatching(/finite/) as string });
  layer.loadStateDict({ weight });
  expect(plan().kernel).toBe('wasm-relaxed-simd');
  layer.destroy();
});
