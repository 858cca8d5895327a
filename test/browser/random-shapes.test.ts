// Random layers on both devices, through every way of a call: exactly both references on small integers, within the
// summation bound on floats.
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { ConvTranspose2d, convTranspose2d, download, upload } from '../../src/index.ts';
import type { Activation, Device, DType, GpuTensor, HostTensor } from '../../src/types.ts';
import { describeLayer, layers, type Layer } from '../support/arbitraries.ts';
import { correlateReference } from '../support/correlate-reference.ts';
import { float16Devices } from '../support/float16-devices.ts';
import { testDevice } from '../support/gpu.ts';
import { inScopes } from '../support/scopes.ts';
import { float16Bits, floatTensor, integerTensor, lengthOf, tensorOf, valuesOf } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

/** Numbers after the output that must stay as they are. */
const GUARD = 64;

test('500 random integer layers agree exactly with both references, on both devices, in every way of a call', async () => {
  const device = await testDevice();
  let outputs = 0;
  const property = fc.asyncProperty(layers(), async (layer) => {
    for (const result of await everyWay(layer, device)) {
      expect(mismatch(result, layer, { lane: 'exact' }), describeLayer(layer)).toBeUndefined();
      expect(secondReference(layer, result), describeLayer(layer)).toBe(-1);
      outputs += result.data.length;
    }
  });
  await fc.assert(property, { numRuns: 500 });
  expect(outputs).toBeGreaterThan(500_000);
});

test('100 random integer layers in float16 agree exactly', async () => {
  for (const device of await float16Devices()) {
    const property = fc.asyncProperty(layers({ most: 2 }), async (layer) => {
      const halves = inFloat16(layer);
      for (const result of await everyWay(halves, device)) {
        expect(valuesOf(result).every(Number.isFinite)).toBe(true);
        expect(mismatch(result, halves, { lane: 'exact', output: 'float16' }), describeLayer(layer)).toBeUndefined();
      }
    });
    await fc.assert(property, { numRuns: 100 });
  }
});

test('100 random float layers are within the bound, with every activation, in float32 and float16', async () => {
  const devices = await float16Devices();
  const activations: Activation[] = ['none', 'relu', 'relu6', 'leaky-relu', 'sigmoid', 'tanh', 'gelu', 'silu'];
  const floats = fc.record({
    layer: layers({ activations: 'none' }),
    activation: fc.constantFrom(...activations),
    dtype: fc.constantFrom<DType>('float32', 'float16'),
    device: fc.constantFrom(...devices),
    seed: fc.integer(),
  });
  const property = fc.asyncProperty(floats, async ({ layer, activation, dtype, device, seed }) => {
    const problem: Layer = {
      input: floatTensor(layer.input.shape, seed, dtype),
      weight: floatTensor(layer.weight.shape, seed + 1, dtype),
      bias: layer.bias && floatTensor(layer.bias.shape, seed + 2, dtype),
      options: { ...layer.options, activation },
    };
    for (const result of await everyWay(problem, device)) {
      expect(mismatch(result, problem, { lane: 'float', output: dtype }), describeLayer(problem)).toBeUndefined();
    }
  });
  await fc.assert(property, { numRuns: 100 });
});

test.each([
  ['batch', [2500, 1, 1, 1], [1, 1, 1, 1]],
  ['input channels', [1, 2500, 1, 2], [2500, 1, 1, 2]],
  ['output channels', [1, 1, 1, 2], [1, 2500, 1, 2]],
  ['height', [1, 2, 1250, 1], [2, 1, 3, 1]],
  ['width', [1, 2, 1, 1250], [2, 1, 1, 3]],
])('float16 beyond 2,048: %s', async (_, inputShape, weightShape) => {
  const layer: Layer = {
    input: integerTensor(inputShape, 1, 2, 'float16'),
    weight: integerTensor(weightShape, 2, 2, 'float16'),
    bias: undefined,
    options: { stride: 2, outputPadding: 1 },
  };
  for (const device of await float16Devices()) {
    for (const result of await everyWay(layer, device)) {
      expect(mismatch(result, layer, { lane: 'exact', output: 'float16' })).toBeUndefined();
    }
  }
});

/** The layer on both devices: the function, the class, and on the GPU recorded into an encoder. */
async function everyWay(layer: Layer, device: GPUDevice): Promise<HostTensor[]> {
  const { input, weight, bias, options } = layer;
  const results: HostTensor[] = [];
  for (const where of ['cpu', device] as const) {
    results.push(await convTranspose2d(input, weight, bias, { ...options, device: where }));
    const module = moduleOf(layer, where);
    module.loadStateDict(bias ? { weight, bias } : { weight });
    const output = poisoned(input, module.outputShape(input.shape));
    expect(await module.forward(input, { output })).toBe(output);
    results.push(output);
    module.destroy();
  }
  results.push(await recorded(layer, device));
  return results;
}

/** Weights and input on the GPU, and an output of NaN with more NaN behind it. */
async function recorded(layer: Layer, device: GPUDevice): Promise<HostTensor> {
  const { input, weight, bias } = layer;
  const module = moduleOf(layer, device);
  const outputShape = module.outputShape(input.shape);
  const length = lengthOf(outputShape);
  const behind = poisoned(input, [length + GUARD]);
  const [tensors, output] = await inScopes(device, () => {
    const tensors = [weight, ...(bias ? [bias] : []), input].map((tensor) => upload(device, tensor));
    const output: GpuTensor = { ...upload(device, behind), shape: outputShape };
    const state = bias ? { weight: tensors[0]!, bias: tensors[1]! } : { weight: tensors[0]! };
    module.loadStateDict(state);
    const encoder = device.createCommandEncoder({ label: 'random layer' });
    expect(module.encode(encoder, tensors.at(-1), output)).toBe(output);
    device.queue.submit([encoder.finish()]);
    return [tensors, output] as const;
  });
  const all = valuesOf(await download(device, { ...output, shape: behind.shape }));
  for (const { buffer } of [...tensors, output]) buffer.destroy();
  module.destroy();
  expect(all.slice(length).every(Number.isNaN), 'what is behind the output is untouched').toBe(true);
  return tensorOf(outputShape, all.subarray(0, length), input.data instanceof Float32Array ? 'float32' : 'float16');
}

function moduleOf({ input, weight, bias, options }: Layer, device: Device): ConvTranspose2d {
  const { weightLayout = 'IOHW', groups = 1 } = options;
  const size = (axis: string): number => weight.shape[weightLayout.indexOf(axis)]!;
  return new ConvTranspose2d(size('I'), size('O') * groups, [size('H'), size('W')], {
    ...options,
    device,
    bias: bias !== undefined,
    dtype: input.data instanceof Float32Array ? 'float32' : 'float16',
  });
}

/** A tensor of NaN in the form of another. */
function poisoned(like: HostTensor, shape: readonly number[]): HostTensor {
  const length = lengthOf(shape);
  if (like.data instanceof Float32Array) return { shape, data: new Float32Array(length).fill(NaN) };
  return { shape, data: new Uint16Array(length).fill(float16Bits(NaN)), dtype: 'float16' };
}

function inFloat16({ input, weight, bias, options }: Layer): Layer {
  const half = ({ shape, data }: HostTensor): HostTensor => tensorOf(shape, data, 'float16');
  return { input: half(input), weight: half(weight), bias: bias && half(bias), options };
}

/** Where a result first differs from the second reference, which has no activations; -1 if nowhere. */
function secondReference({ input, weight, bias, options }: Layer, { data }: HostTensor): number {
  const { activation = 'none', negativeSlope = 0.01 } = options;
  const activate = (x: number): number => {
    if (activation === 'leaky-relu') return x < 0 ? x * negativeSlope : x;
    if (activation === 'none') return x;
    return Math.min(Math.max(x, 0), activation === 'relu6' ? 6 : Infinity);
  };
  return correlateReference(input, weight, bias, options).data.findIndex((sum, at) => activate(sum) !== data[at]);
}
