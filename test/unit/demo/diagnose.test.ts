// What the demo's Diagnose view tells, against what the reference gives over a flat input.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { convTranspose2dReference } from 'webgpu-conv-transpose2d/reference';
import { advise } from '../../../demo/src/diagnose/advice.ts';
import { isEven, phasesOf, ripple, type Pattern, type Size } from '../../../demo/src/diagnose/phases.ts';
import { drawWeights, type Beginning } from '../../../demo/src/diagnose/weights.ts';

const size = (most: number): fc.Arbitrary<Size> =>
  fc.tuple(fc.integer({ min: 1, max: most }), fc.integer({ min: 1, max: most }));
const patterns: fc.Arbitrary<Pattern> = fc.record({ kernel: size(9), stride: size(4), dilation: size(3) });

/** The middle of the output over an input of ones, by phase: one period, away from any border. */
function flatOutput({ kernel, stride, dilation }: Pattern, weights: readonly number[]): number[] {
  const inputs = 40;
  const { data, shape } = convTranspose2dReference(
    { shape: [1, inputs, inputs], data: new Float64Array(inputs * inputs).fill(1) },
    { shape: [1, 1, ...kernel], data: weights },
    null,
    { stride, dilation },
  );
  const [top, left] = [stride[0] * 30, stride[1] * 30];
  return Array.from({ length: stride[0] * stride[1] }, (_, at) => {
    const [y, x] = [Math.floor(at / stride[1]), at % stride[1]];
    return data[(top + y) * shape[2]! + left + x]!;
  });
}

test('the sum of each phase is what the reference gives over a flat input', () => {
  fc.assert(
    fc.property(
      patterns,
      fc.array(fc.integer({ min: -9, max: 9 }), { minLength: 81, maxLength: 81 }),
      (pattern, draw) => {
        const weights = draw.slice(0, pattern.kernel[0] * pattern.kernel[1]);
        const phases = phasesOf(pattern, weights);
        expect(phases.map(({ sum }) => sum + 0)).toEqual(flatOutput(pattern, weights).map((value) => value + 0));
        expect(phases.reduce((count, { taps }) => count + taps[0] * taps[1], 0)).toBe(weights.length);
      },
    ),
    { numRuns: 40 },
  );
});

test('ones ripple exactly where phases have unequally many taps', () => {
  fc.assert(
    fc.property(patterns, (pattern) => {
      const weights = new Array<number>(pattern.kernel[0] * pattern.kernel[1]).fill(1);
      expect(ripple(phasesOf(pattern, weights)) === 0).toBe(isEven(pattern));
    }),
  );
});

test('the ripple of the textbook case: kernel 3, stride 2', () => {
  // Sums 4, 2, 2 and 1: a span of 3 over a mean of 2.25.
  const phases = phasesOf({ kernel: [3, 3], stride: [2, 2], dilation: [1, 1] }, new Array<number>(9).fill(1));
  expect(phases.map(({ sum }) => sum)).toEqual([4, 2, 2, 1]);
  expect(ripple(phases)).toBeCloseTo(400 / 3, 12);
});

describe('advice', () => {
  test('is even, and is given whenever a kernel is not', () => {
    fc.assert(
      fc.property(patterns, (pattern) => {
        const advice = advise(pattern, { kernel: [1, 9] });
        for (const { pattern: advised } of advice) expect(isEven(advised)).toBe(true);
        if (isEven(pattern)) expect(advice).toEqual([]);
      }),
    );
  });

  test('kernel 3 with stride 2: kernel 4 or 2', () => {
    const pattern: Pattern = { kernel: [3, 3], stride: [2, 2], dilation: [1, 1] };
    expect(
      advise(pattern, { kernel: [1, 9] }).map(({ pattern: { kernel, stride } }) => [kernel[0], stride[0]]),
    ).toEqual([
      [4, 2],
      [2, 2],
    ]);
  });

  test('where stride and dilation share a factor no kernel helps, and dilation 1 is advised', () => {
    const pattern: Pattern = { kernel: [4, 4], stride: [2, 2], dilation: [2, 2] };
    expect(advise(pattern, { kernel: [1, 9] }).map(({ pattern: { dilation } }) => dilation)).toEqual([[1, 1]]);
  });
});

describe('weights to begin with', () => {
  const drawn = (pattern: Pattern, beginning: Beginning, seed = 1): Promise<number> =>
    drawWeights(pattern, beginning, seed).then((weights) => ripple(phasesOf(pattern, weights)));
  const even: Pattern = { kernel: [4, 4], stride: [2, 2], dilation: [1, 1] };

  test('ICNR and bilinear do not ripple where the stride divides the kernel; random weights do', async () => {
    for (const seed of [1, 2, 3]) {
      expect(await drawn(even, 'icnr', seed)).toBe(0);
      expect(await drawn(even, 'random', seed)).toBeGreaterThan(5);
    }
    expect(await drawn(even, 'bilinear')).toBe(0);
    expect(await drawn(even, 'ones')).toBe(0);
  });

  test('bilinear with its odd kernel for an odd stride does not ripple either, though its taps are uneven', async () => {
    const odd: Pattern = { kernel: [5, 5], stride: [3, 3], dilation: [1, 1] };
    expect(isEven(odd)).toBe(false);
    expect(await drawn(odd, 'bilinear')).toBe(0);
    expect(await drawn(odd, 'icnr')).toBeGreaterThan(5);
  });

  test('a seed gives the same weights again', async () => {
    expect(await drawWeights(even, 'random', 7)).toEqual(await drawWeights(even, 'random', 7));
    expect(await drawWeights(even, 'random', 7)).not.toEqual(await drawWeights(even, 'random', 8));
  });
});
