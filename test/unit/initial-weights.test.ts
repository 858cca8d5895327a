// Weights to begin with: PyTorch's distribution, bilinear interpolation, ICNR.
import { describe, expect, test } from 'vitest';
import {
  bilinearWeight,
  convTranspose2d,
  ConvTranspose2d,
  icnrWeight,
  type LayerOptions,
  type ConvTranspose2dOptions,
} from '../../src/index.ts';
import { convTranspose2dReference } from '../../src/reference.ts';
import { floatTensor, valuesOf } from '../support/tensors.ts';

type Options = ConvTranspose2dOptions & LayerOptions;

async function drawn(ins: number, outs: number, kernel: number, options: Options): Promise<Record<string, number[]>> {
  const state = await new ConvTranspose2d(ins, outs, kernel, { device: 'cpu', ...options }).stateDict();
  return Object.fromEntries(Object.entries(state).map(([name, tensor]) => [name, [...valuesOf(tensor)]]));
}

describe("PyTorch's distribution", () => {
  // kaiming_uniform_ with a = √5: U(−b, b), b = 1 / √fan_in, fan_in = weight.size(1) · kernel height · kernel width.
  test.each([
    [16, 33, 3, 1, 0.05802588531856595],
    [64, 64, 4, 1, 0.03125],
    [64, 64, 4, 4, 0.0625],
    [64, 64, 4, 64, 0.25],
  ])('%i to %i channels, kernel %i, %i groups: within ±%d', async (ins, outs, kernel, groups, bound) => {
    const { weight = [], bias = [] } = await drawn(ins, outs, kernel, { groups, seed: 7 });
    expect(weight.length).toBe((ins * outs * kernel * kernel) / groups);
    expect(bias.length).toBe(outs);
    const values = [...weight, ...bias];
    const n = values.length;
    expect(Math.max(...values.map(Math.abs))).toBeLessThanOrEqual(Math.fround(bound));
    // Within 5 standard deviations of the mean, 0, and of the variance, b² / 3, whose own is b⁴·(1/5 − 1/9) / n.
    const mean = values.reduce((sum, value) => sum + value, 0) / n;
    const variance = values.reduce((sum, value) => sum + value * value, 0) / n;
    expect(Math.abs(mean)).toBeLessThan((5 * bound) / Math.sqrt(3 * n));
    expect(Math.abs(variance - bound ** 2 / 3)).toBeLessThan(5 * bound ** 2 * Math.sqrt((1 / 5 - 1 / 9) / n));
  });

  test('a seed draws the same again, other seeds and none draw others', async () => {
    const seeds = [3, 3, 4, undefined, undefined];
    const [first, again, other, ...unseeded] = await Promise.all(seeds.map((seed) => drawn(3, 5, 3, { seed })));
    expect(again).toEqual(first);
    expect(new Set([first, other, ...unseeded].map((state) => String(state?.['weight'])))).toHaveProperty('size', 4);
  });

  test('are drawn when they are needed: a layer too large for them can be planned and sized', async () => {
    const layer = new ConvTranspose2d(2 ** 22, 2 ** 22, 5, { device: 'cpu', bias: false });
    expect(layer.outputShape([2 ** 22, 3, 3])).toEqual([2 ** 22, 7, 7]);
    await expect(layer.stateDict()).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
    expect(() => bilinearWeight(2 ** 22, 64, { groups: 1 })).toThrow(
      expect.objectContaining({ code: 'OUT_OF_MEMORY' }) as Error,
    );
  });

  test('float16 layers draw the same numbers, rounded', async () => {
    const { weight = [] } = await drawn(3, 5, 3, { seed: 3 });
    const { weight: halves = [] } = await drawn(3, 5, 3, { seed: 3, dtype: 'float16' });
    halves.forEach((half, at) => {
      expect(Math.abs(half - weight[at]!)).toBeLessThanOrEqual(Math.abs(weight[at]!) * 2 ** -11);
    });
  });
});

describe('bilinearWeight', () => {
  // The filters of FCN's interpolation layers.
  test.each([
    [1, [1]],
    [2, [0.5, 0.5]],
    [3, [0.5, 1, 0.5]],
    [4, [0.25, 0.75, 0.75, 0.25]],
    [8, [0.125, 0.375, 0.625, 0.875, 0.875, 0.625, 0.375, 0.125]],
  ])('kernel %i', (kernel, filter) => {
    const { shape, data } = bilinearWeight(1, kernel);
    expect(shape).toEqual([1, 1, kernel, kernel]);
    expect([...(data as Float32Array)]).toEqual(filter.flatMap((v) => filter.map((h) => v * h)));
  });

  test('a kernel of two sizes is the product of two filters', () => {
    expect([...(bilinearWeight(1, [3, 2]).data as Float32Array)]).toEqual([0.25, 0.25, 0.5, 0.5, 0.25, 0.25]);
  });

  test.each([2, 4])('a constant image stays constant inside, %i×', async (stride) => {
    const input = { shape: [1, 3, 5, 6], data: new Float32Array(90).fill(8) };
    const options = { stride, padding: Math.ceil((stride - 1) / 2), groups: 3, device: 'cpu' } as const;
    const { shape, data } = await convTranspose2d(input, bilinearWeight(3, 2 * stride), null, options);
    expect(shape).toEqual([1, 3, 5 * stride, 6 * stride]);
    const [height, width] = [5 * stride, 6 * stride];
    const isInside = (at: number): boolean => {
      const [y, x] = [Math.floor(at / width) % height, at % width];
      return Math.min(y, x, height - 1 - y, width - 1 - x) >= stride / 2;
    };
    const inside = (data as Float32Array).filter((_, at) => isInside(at));
    expect(inside.length).toBe(3 * (height - stride) * (width - stride));
    expect(new Set(inside)).toEqual(new Set([8]));
  });

  test('fewer groups than channels: each channel reaches itself alone', () => {
    const input = floatTensor([1, 6, 4, 4], 1);
    const [apart, grouped, one] = [6, 2, 1].map((groups) => {
      const weight = bilinearWeight(6, 4, { groups });
      expect(weight.shape).toEqual([6, 6 / groups, 4, 4]);
      return convTranspose2dReference(input, weight, null, { stride: 2, padding: 1, groups }).data;
    });
    expect(grouped).toEqual(apart);
    expect(one).toEqual(apart);
  });

  test('a kernel that there is no room for is refused before anything is computed', () => {
    const began = process.cpuUsage();
    expect(() => bilinearWeight(1, 2 ** 26)).toThrow(expect.objectContaining({ code: 'OUT_OF_MEMORY' }) as Error);
    expect(process.cpuUsage(began).user).toBeLessThan(1_000_000);
  });

  test('groups that do not divide the channels are refused, and options that there are not', () => {
    expect(() => bilinearWeight(6, 4, { groups: 4 })).toThrow(/^groups is 4; .*6/);
    expect(() => bilinearWeight(6, 4, { group: 2 } as object)).toThrow(
      /^option 'group' is 2; did you mean groups\? known are groups/,
    );
    expect(() => bilinearWeight(6, 4, null as never)).toThrow(/^options is null/);
    expect(() => icnrWeight(6, 4, 4, undefined as never)).toThrow(/^stride is undefined/);
  });
});

describe('icnrWeight', () => {
  test.each([
    [2, 4, 1],
    [3, 3, 2],
    [[2, 3], [4, 6], 4],
  ] as const)(
    'stride %j, kernel %j, %i groups: every block of stride × stride outputs is one number',
    (s, k, groups) => {
      const [sh, sw] = typeof s === 'number' ? [s, s] : s;
      const weight = icnrWeight(4, 8, k, { stride: s, groups, seed: 5 });
      const options = { stride: s, groups };
      const { shape, data } = convTranspose2dReference(floatTensor([2, 4, 5, 6], 2), weight, null, options);
      const [height = 0, width = 0] = shape.slice(2);
      expect([height % sh, width % sw]).toEqual([0, 0]);
      data.forEach((value, at) => {
        const [y, x] = [Math.floor(at / width) % height, at % width];
        expect(value).toBe(data[at - (y % sh) * width - (x % sw)]);
      });
      expect(new Set(data).size).toBe(data.length / (sh * sw));
    },
  );

  test('a seed draws the same again, within the bound', () => {
    const draw = (seed?: number): number[] => [
      ...(icnrWeight(4, 8, 4, seed === undefined ? { stride: 2 } : { stride: 2, seed }).data as Float32Array),
    ];
    expect(draw(5)).toEqual(draw(5));
    expect(draw(5)).not.toEqual(draw(6));
    expect(draw()).not.toEqual(draw());
    expect(Math.max(...draw(5).map(Math.abs))).toBeLessThanOrEqual(1 / Math.sqrt(8 * 4 * 4));
  });
});
