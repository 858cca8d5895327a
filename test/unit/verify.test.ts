// What `verify` compares with: never wrong about a right result, and about a wrong one as often as it looks there.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { resolveOptions, type Spec } from '../../src/options.ts';
import { planLayer } from '../../src/plan.ts';
import { convTranspose2dReference } from '../../src/reference.ts';
import type { Activation, HostTensor, StateDict } from '../../src/types.ts';
import { wrongOutput } from '../../src/verify.ts';
import { capabilitiesOf } from '../../src/webgpu/device.ts';
import { describeLayer, layers, type Layer } from '../support/arbitraries.ts';
import { floatTensor, tensorOf } from '../support/tensors.ts';
import { boundsOf } from '../support/tolerance.ts';

function specOf({ weight, bias, options }: Layer) {
  const { weightLayout = 'IOHW', groups = 1 } = options;
  const size = (axis: string): number => weight.shape[weightLayout.indexOf(axis)]!;
  return resolveOptions(size('I'), size('O') * groups, [size('H'), size('W')], { ...options, bias: bias !== undefined })
    .spec;
}

function wrongIn(spec: Spec, state: StateDict, input: HostTensor, output: HostTensor) {
  const layerPlan = planLayer(spec, input.shape, undefined, capabilitiesOf('cpu', 'a test'));
  return wrongOutput(spec, layerPlan, state, input, output);
}

function check(layer: Layer, output: HostTensor) {
  const { input, weight, bias } = layer;
  return wrongIn(specOf(layer), bias ? { weight, bias } : { weight }, input, output);
}

const activations: Activation[] = ['none', 'relu', 'relu6', 'leaky-relu', 'sigmoid', 'tanh', 'gelu', 'silu'];
const floats = fc
  .record({ layer: layers({ activations: 'none' }), activation: fc.constantFrom(...activations), seed: fc.integer() })
  .map(({ layer, activation, seed }): Layer => ({
    input: floatTensor(layer.input.shape, seed),
    weight: floatTensor(layer.weight.shape, seed + 1),
    bias: layer.bias && floatTensor(layer.bias.shape, seed + 2),
    options: { ...layer.options, activation },
  }));

test('a right result passes, at its bound on either side too', () => {
  const property = fc.property(floats, fc.constantFrom(-0.99, 0, 0.99), (layer, part) => {
    const { shape, data } = convTranspose2dReference(layer.input, layer.weight, layer.bias, layer.options);
    const bounds = boundsOf(layer);
    // In doubles, so that the bound is not rounded.
    const off = data.map((value, at) => value + part * bounds[at]!);
    expect(check(layer, { shape, data: off as unknown as Float32Array }), describeLayer(layer)).toBeUndefined();
  });
  fc.assert(property, { numRuns: 300 });
});

test('a result that is wrong everywhere is caught at once, and the report says what was expected', () => {
  const property = fc.property(layers({ activations: 'none' }), (layer) => {
    const { shape, data } = convTranspose2dReference(layer.input, layer.weight, layer.bias, layer.options);
    fc.pre(data.length > 0);
    const wrong = check(
      layer,
      tensorOf(
        shape,
        data.map((value) => value + 1),
      ),
    );
    expect(wrong).toMatchObject({ expected: data[wrong!.index], value: data[wrong!.index]! + 1 });
    expect(
      check(
        layer,
        tensorOf(
          shape,
          data.map(() => NaN),
        ),
      ),
    ).toBeDefined();
  });
  fc.assert(property, { numRuns: 300 });
});

test('what has no bound is let pass: infinite inputs, float16 beyond its range', () => {
  const { spec } = resolveOptions(1, 1, 1, { bias: false, dtype: 'float16' });
  const one = (value: number): HostTensor => tensorOf([1, 1, 1], [value], 'float16');
  const weight = tensorOf([1, 1, 1, 1], [60000], 'float16');
  expect(wrongIn(spec, { weight }, one(2), one(Infinity))).toBeUndefined();
  expect(wrongIn(spec, { weight }, one(Infinity), one(1))).toBeUndefined();
  expect(wrongIn(spec, { weight }, one(1), one(60032))).toMatchObject({ expected: 60000 });
});
