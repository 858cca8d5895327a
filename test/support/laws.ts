/** Laws that every implementation of a transposed convolution must obey, checked on random layers. */
import fc from 'fast-check';
import { expect } from 'vitest';
import type { ConvTranspose2dOptions, HostTensor } from '../../src/types.ts';
import { describeLayer, layers, type Layer } from './arbitraries.ts';
import { integerTensor, lengthOf, tensorOf, valuesOf } from './tensors.ts';

export interface Implementation {
  readonly name: string;
  run(
    input: HostTensor,
    weight: HostTensor,
    bias: HostTensor | undefined,
    options: ConvTranspose2dOptions,
  ): Promise<HostTensor>;
}

export type Law = (implementation: Implementation) => fc.IAsyncProperty<unknown>;

// Small enough for sums of sums to stay exact in float32.
const linear = layers({ most: 3, activations: 'none' });

/** A layer in the plainest form, for laws that take tensors apart: batched NCHW, IOHW. */
const plain = linear.map(({ input, weight, bias, options }): Layer => {
  const { layout = 'NCHW', weightLayout = 'IOHW', ...rest } = options;
  const sizes = (shape: readonly number[], axes: string, wanted: string): number[] =>
    Array.from(wanted, (axis) => shape[axes.indexOf(axis)] ?? 1);
  const inputAxes = input.shape.length === 4 ? layout : layout.replace('N', '');
  return {
    input: integerTensor(sizes(input.shape, inputAxes, 'NCHW'), input.data.length, 3),
    weight: integerTensor(sizes(weight.shape, weightLayout, 'IOHW'), weight.data.length, 3),
    bias,
    options: rest,
  };
});

function law<Drawn>(drawn: fc.Arbitrary<Drawn>, holds: (on: Implementation, drawn: Drawn) => Promise<void>): Law {
  return (implementation) => fc.asyncProperty(drawn, (value) => holds(implementation, value));
}

export const laws: Readonly<Record<string, Law>> = {
  'linear in the input': law(fc.tuple(linear, factors()), async (on, [layer, [a, b]]) => {
    const { input, weight, options } = layer;
    const other = integerTensor(input.shape, 7, 3);
    const [one, two, both] = await Promise.all(
      [input, other, combined(a, input, b, other)].map((x) => on.run(x, weight, undefined, options)),
    );
    expectEqual(both!, combined(a, one!, b, two!), layer);
  }),

  'linear in the weight': law(fc.tuple(linear, factors()), async (on, [layer, [a, b]]) => {
    const { input, weight, options } = layer;
    const other = integerTensor(weight.shape, 8, 3);
    const [one, two, both] = await Promise.all(
      [weight, other, combined(a, weight, b, other)].map((w) => on.run(input, w, undefined, options)),
    );
    expectEqual(both!, combined(a, one!, b, two!), layer);
  }),

  'the bias is added to every output of its channel': law(linear, async (on, layer) => {
    const { input, weight, options } = layer;
    const { layout = 'NCHW', weightLayout = 'IOHW', groups = 1 } = options;
    const bias = integerTensor([weight.shape[weightLayout.indexOf('O')]! * groups], 9);
    const [without, added] = await Promise.all([undefined, bias].map((b) => on.run(input, weight, b, options)));
    const [height, width] = layout === 'NCHW' ? without!.shape.slice(-2) : [1, 1];
    const channel = (at: number): number => Math.floor(at / (height! * width!)) % bias.data.length;
    const expected = valuesOf(without!).map((value, at) => value + bias.data[channel(at)]!);
    expectEqual(added!, tensorOf(without!.shape, expected), layer);
  }),

  'adjoint of the strided convolution: ⟨convT x, g⟩ = ⟨x, conv g⟩': law(plain, async (on, layer) => {
    const { input, weight, options } = layer;
    const output = await on.run(input, weight, undefined, options);
    const gradient = integerTensor(output.shape, 10, 3);
    expect(inner(output, gradient), describeLayer(layer)).toBe(inner(input, convolution(gradient, layer)));
  }),

  'groups are layers side by side': law(plain, async (on, layer) => {
    const { input, weight, bias, options } = layer;
    const { groups = 1, ...rest } = options;
    const whole = await on.run(input, weight, bias, options);
    const parts = await Promise.all(
      Array.from({ length: groups }, (_, group) =>
        on.run(
          slice(input, 1, group, groups),
          slice(weight, 0, group, groups),
          bias && slice(bias, 0, group, groups),
          rest,
        ),
      ),
    );
    for (const [group, part] of parts.entries()) expectEqual(slice(whole, 1, group, groups), part, layer);
  }),

  'the images of a batch do not know of each other': law(plain, async (on, layer) => {
    const { input, weight, bias, options } = layer;
    const batch = input.shape[0]!;
    const whole = await on.run(input, weight, bias, options);
    for (let n = 0; n < batch; n++) {
      expectEqual(slice(whole, 0, n, batch), await on.run(slice(input, 0, n, batch), weight, bias, options), layer);
    }
  }),

  'a shift of the input by one is a shift of the output by the stride': law(plain, async (on, layer) => {
    const { input, weight, options } = layer;
    const { stride, dilation, groups } = options;
    const [down, right] = stride as readonly [number, number];
    const full = { stride, dilation, groups };
    const output = await on.run(input, weight, undefined, full);
    const shifted = await on.run(window(input, -1, -1, 1, 1), weight, undefined, full);
    expectEqual(shifted, window(output, -down, -right, down, right), layer);
  }),

  'padding is a crop, and beyond the full result there is the bias alone': law(plain, async (on, layer) => {
    const { input, weight, bias, options } = layer;
    const { stride, dilation, groups } = options;
    const cropped = await on.run(input, weight, bias, options);
    const full = await on.run(input, weight, undefined, { stride, dilation, groups });
    const { padding = 0 } = options;
    const [top, left] = typeof padding === 'number' ? [padding, padding] : padding;
    const more = [2, 3].map((axis) => cropped.shape[axis]! - full.shape[axis]!);
    const kept = window(full, top, left, more[0]!, more[1]!);
    const [height, width] = cropped.shape.slice(-2);
    const expected = valuesOf(kept).map((value, at) => {
      const channel = Math.floor(at / (height! * width!)) % cropped.shape[1]!;
      return value + (bias?.data[channel] ?? 0);
    });
    expectEqual(cropped, tensorOf(cropped.shape, expected), layer);
  }),

  'layouts hold the same numbers': law(plain, async (on, layer) => {
    const { input, weight, bias, options } = layer;
    const planes = await on.run(input, weight, bias, options);
    const pixels = await on.run(permuted(input, 'NCHW', 'NHWC'), permuted(weight, 'IOHW', 'HWOI'), bias, {
      ...options,
      layout: 'NHWC',
      weightLayout: 'HWOI',
    });
    expectEqual(permuted(pixels, 'NHWC', 'NCHW'), planes, layer);
    const third = await on.run(input, permuted(weight, 'IOHW', 'OHWI'), bias, { ...options, weightLayout: 'OHWI' });
    expectEqual(third, planes, layer);
  }),
};

function factors(): fc.Arbitrary<readonly [number, number]> {
  return fc.tuple(fc.integer({ min: -3, max: 3 }), fc.integer({ min: -3, max: 3 }));
}

function expectEqual(actual: HostTensor, expected: HostTensor, layer: Layer): void {
  expect(actual.shape, describeLayer(layer)).toEqual(expected.shape);
  const different = valuesOf(expected).findIndex((value, at) => value !== actual.data[at]);
  expect(different, `first difference, ${describeLayer(layer)}`).toBe(-1);
}

/** a·x + b·y */
function combined(a: number, x: HostTensor, b: number, y: HostTensor): HostTensor {
  return tensorOf(
    x.shape,
    valuesOf(x).map((value, at) => a * value + b * y.data[at]!),
  );
}

function inner(x: HostTensor, y: HostTensor): number {
  return valuesOf(x).reduce((sum, value, at) => sum + value * y.data[at]!, 0);
}

/** One of `count` equal parts along an axis. */
function slice(tensor: HostTensor, axis: number, part: number, count: number): HostTensor {
  const length = tensor.shape[axis]! / count;
  const shape = tensor.shape.map((size, at) => (at === axis ? length : size));
  const behind = lengthOf(tensor.shape.slice(axis + 1));
  const rows = lengthOf(tensor.shape.slice(0, axis));
  const values = valuesOf(tensor);
  const kept: number[] = [];
  for (let row = 0; row < rows; row++) {
    const from = (row * tensor.shape[axis]! + part * length) * behind;
    kept.push(...values.subarray(from, from + length * behind));
  }
  return tensorOf(shape, kept);
}

/** Of each plane the part from (top, left) on, with that many more rows and columns than it has; zero outside. */
function window(tensor: HostTensor, top: number, left: number, rows: number, columns: number): HostTensor {
  const [batch, channels, height, width] = tensor.shape as [number, number, number, number];
  const shape = [batch, channels, height + rows, width + columns] as const;
  const values: number[] = [];
  for (let plane = 0; plane < batch * channels; plane++) {
    for (let y = top; y < top + shape[2]; y++) {
      for (let x = left; x < left + shape[3]; x++) {
        const inside = y >= 0 && y < height && x >= 0 && x < width;
        values.push(inside ? tensor.data[(plane * height + y) * width + x]! : 0);
      }
    }
  }
  return tensorOf(shape, values);
}

/** The tensor with its axes in another order. */
function permuted(tensor: HostTensor, from: string, to: string): HostTensor {
  const shape = Array.from(to, (axis) => tensor.shape[from.indexOf(axis)]!);
  const step = Array.from(to, (axis) => lengthOf(tensor.shape.slice(from.indexOf(axis) + 1)));
  const values = Array.from({ length: lengthOf(shape) }, (_, at) => {
    let source = 0;
    for (let axis = shape.length - 1, rest = at; axis >= 0; axis--) {
      source += (rest % shape[axis]!) * step[axis]!;
      rest = Math.floor(rest / shape[axis]!);
    }
    return tensor.data[source]!;
  });
  return tensorOf(shape, values);
}

/** The strided convolution whose transpose the layer is, of one of its outputs: the shape of the input again. */
function convolution(gradient: HostTensor, { input, weight, options }: Layer): HostTensor {
  const { stride = 1, dilation = 1, padding = 0, groups = 1 } = options;
  const pair = (value: number | readonly number[]): readonly number[] =>
    typeof value === 'number' ? [value, value] : value;
  const [strides, dilations, heads] = [pair(stride), pair(dilation), pair(padding)];
  const [batch, channels, height, width] = input.shape as [number, number, number, number];
  const [, perGroup, kernelH, kernelW] = weight.shape as [number, number, number, number];
  const [, outs, outH, outW] = gradient.shape as [number, number, number, number];
  const values: number[] = [];
  for (let n = 0; n < batch; n++) {
    for (let c = 0; c < channels; c++) {
      const group = Math.floor((c * groups) / channels);
      for (let iy = 0; iy < height; iy++) {
        for (let ix = 0; ix < width; ix++) {
          let sum = 0;
          for (let o = 0; o < perGroup; o++) {
            for (let ky = 0; ky < kernelH; ky++) {
              for (let kx = 0; kx < kernelW; kx++) {
                const y = iy * strides[0]! + ky * dilations[0]! - heads[0]!;
                const x = ix * strides[1]! + kx * dilations[1]! - heads[1]!;
                if (y < 0 || x < 0 || y >= outH || x >= outW) continue;
                const plane = n * outs + group * perGroup + o;
                sum +=
                  gradient.data[(plane * outH + y) * outW + x]! *
                  weight.data[((c * perGroup + o) * kernelH + ky) * kernelW + kx]!;
              }
            }
          }
          values.push(sum);
        }
      }
    }
  }
  return tensorOf(input.shape, values);
}
