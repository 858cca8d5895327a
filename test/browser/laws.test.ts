// The laws, on both devices; what a plan owes; and Inf and NaN, which spoil only what they reach.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConvTranspose2d, convTranspose2d } from '../../src/index.ts';
import { convTranspose2dReference } from '../../src/reference.ts';
import type { Device } from '../../src/types.ts';
import { describeLayer, layers } from '../support/arbitraries.ts';
import { testDevice } from '../support/gpu.ts';
import { laws, type Implementation } from '../support/laws.ts';
import { tensorOf, valuesOf, withValues } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

const devices: { name: string; device: () => Promise<Device> }[] = [
  { name: 'cpu', device: () => Promise.resolve('cpu') },
  { name: 'webgpu', device: () => testDevice() },
];

describe.each(devices)('$name', ({ name, device }) => {
  const implementation: Implementation = {
    name,
    run: async (input, weight, bias, options) =>
      convTranspose2d(input, weight, bias, { ...options, device: await device() }),
  };

  test.each(Object.entries(laws))('%s', async (_, law) => {
    await fc.assert(law(implementation), { numRuns: 60 });
  });

  test('Inf and NaN in the input spoil only the outputs that they reach', async () => {
    const where = await device();
    const drawn = fc.record({
      layer: layers({ activations: 'none' }),
      spots: fc.array(fc.tuple(fc.nat(), fc.constantFrom(NaN, Infinity, -Infinity)), { minLength: 1, maxLength: 3 }),
    });
    let spoiled = 0;
    let whole = 0;
    let both = 0;
    const property = fc.asyncProperty(drawn, async ({ layer, spots }) => {
      const { length } = layer.input.data;
      const values = Object.fromEntries(spots.map(([at, value]) => [at % Math.max(length, 1), value]));
      const input = length === 0 ? layer.input : withValues(layer.input, values);
      const result = await convTranspose2d(input, layer.weight, layer.bias, { ...layer.options, device: where });
      const problem = { ...layer, input };
      expect(mismatch(result, problem, { lane: 'spoiled' }), describeLayer(layer)).toBeUndefined();
      const finite = valuesOf(result).filter(Number.isFinite).length;
      whole += finite;
      spoiled += result.data.length - finite;
      if (finite > 0 && finite < result.data.length) both++;
    });
    // One seed, so that there is as much of both, and as often side by side, in every run.
    await fc.assert(property, { numRuns: 100, seed: 1 });
    expect(both).toBeGreaterThan(50);
    expect(spoiled).toBeGreaterThan(1000);
    expect(whole).toBeGreaterThan(1000);
  });

  test.each(['relu', 'relu6', 'leaky-relu', 'sigmoid', 'tanh', 'gelu', 'silu'] as const)(
    '%s of NaN is NaN, and far from zero it is as flat or as steep as it should be',
    async (activation) => {
      const far = [200, 1e4, 1e20, 1e38].flatMap((x) => [x, -x]);
      const input = tensorOf([1, 1, 1, far.length + 1], [NaN, ...far]);
      const one = tensorOf([1, 1, 1, 1], [1]);
      const options = { activation, negativeSlope: 0.5 };
      const [nan, ...values] = valuesOf(
        await convTranspose2d(input, one, null, { ...options, device: await device() }),
      );
      const [, ...expected] = Float32Array.from(convTranspose2dReference(input, one, null, options).data);
      expect(nan).toBe(NaN);
      // Zeros of either sign.
      expect(values.map((value) => value + 0)).toEqual(expected.map((value) => value + 0));
    },
  );

  test('phases partition outputs and taps, and the work counted is the work there is', async () => {
    const where = await device();
    const property = fc.property(layers({ activations: 'none' }), (layer) => {
      const { input, weight, options } = layer;
      const { layout = 'NCHW', weightLayout = 'IOHW', groups = 1 } = options;
      const size = (axis: string): number => weight.shape[weightLayout.indexOf(axis)]!;
      const kernel = [size('H'), size('W')] as const;
      const module = new ConvTranspose2d(size('I'), size('O') * groups, kernel, { ...options, device: where });
      const plan = module.plan(input.shape);
      const output = module.outputShape(input.shape);
      module.destroy();
      expect(plan.outputShape).toEqual(output);
      const [height, width] = layout === 'NCHW' ? output.slice(-2) : output.slice(-3, -1);
      const positions = plan.phases.reduce((sum, { positions: [rows, columns] }) => sum + rows * columns, 0);
      expect(positions, describeLayer(layer)).toBe(height! * width!);
      const taps = plan.phases.reduce((sum, { taps: [rows, columns] }) => sum + rows * columns, 0);
      expect(taps, describeLayer(layer)).toBeLessThanOrEqual(kernel[0] * kernel[1]);

      const ones = ({ shape, data }: { shape: readonly number[]; data: ArrayLike<number> }): typeof layer.input => ({
        shape,
        data: new Float32Array(data.length).fill(1),
      });
      const products = convTranspose2dReference(ones(input), ones(weight), null, options).data;
      expect(plan.usefulFlops, describeLayer(layer)).toBe(2 * products.reduce((sum, count) => sum + count, 0));
    });
    fc.assert(property, { numRuns: 300 });
  });
});
