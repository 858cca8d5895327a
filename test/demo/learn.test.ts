/** Learning by itself: what it reports, computed again from the whole picture with the reference in float64. */
import { describe, expect, test } from 'vitest';
import { convTranspose2dReference } from 'webgpu-conv-transpose2d/reference';
import { layerOf, layerToLearn, paddingOf, SCALES, type UpsampleLayer } from '../../demo/src/upsample/kernels.ts';
import { decibels } from '../../demo/src/upsample/learning/curve.ts';
import { keepFlat } from '../../demo/src/upsample/learning/keep-flat.ts';
import { learn, type Learned } from '../../demo/src/upsample/learning/learn.ts';
import { PATCH } from '../../demo/src/upsample/learning/patches.ts';
import { CHANNELS, type Pixels } from '../../demo/src/upsample/pixels.ts';
import { randomPixels } from './pictures.ts';

const [WIDTH, HEIGHT] = [4 * PATCH, 3 * PATCH];

/** Discs with sharp edges on a slope, each pixel the mean of 16 points. */
function discs(): Pixels {
  const data = new Uint8ClampedArray(4 * WIDTH * HEIGHT).fill(255);
  for (let i = 0; i < WIDTH * HEIGHT; i++) {
    const [row, column] = [Math.floor(i / WIDTH), i % WIDTH];
    for (let channel = 0; channel < CHANNELS; channel++) {
      let sum = 0;
      for (let s = 0; s < 16; s++) {
        const [y, x] = [row + ((s % 4) + 0.5) / 4, column + (Math.floor(s / 4) + 0.5) / 4];
        const isInside = Math.hypot((y % 17) - 8, (x % 23) - 11) < 5 + channel;
        sum += isInside ? 230 - 40 * channel : 20 + (100 * x) / WIDTH;
      }
      data[4 * i + channel] = sum / 16;
    }
  }
  return { width: WIDTH, height: HEIGHT, data };
}

/** The mean squared error of the picture, made smaller and enlarged by the layer, in the patches that are held back. */
function errorOf({ data }: Pixels, { kernel, stride, halo, weight, ...layer }: UpsampleLayer): number {
  const [rows, columns] = [HEIGHT / stride, WIDTH / stride];
  const [tall, wide] = [rows + 2 * halo, columns + 2 * halo];
  const input = new Float64Array(CHANNELS * tall * wide);
  const clamp = (value: number, end: number): number => Math.min(Math.max(value, 0), end - 1);
  for (let at = 0; at < input.length; at++) {
    const [channel, row, column] = [Math.floor(at / wide / tall), Math.floor(at / wide) % tall, at % wide];
    const [top, left] = [stride * clamp(row - halo, rows), stride * clamp(column - halo, columns)];
    for (let s = 0; s < stride ** 2; s++) {
      const [y, x] = [top + Math.floor(s / stride), left + (s % stride)];
      input[at]! += data[4 * (y * WIDTH + x) + channel]! / stride ** 2;
    }
  }
  const { data: output } = convTranspose2dReference(
    { shape: [1, CHANNELS, tall, wide], data: Float32Array.from(input) },
    weight,
    null,
    { stride, padding: paddingOf({ kernel, stride, halo, weight, ...layer }), groups: CHANNELS },
  );
  let [sum, count] = [0, 0];
  for (const [at, value] of output.entries()) {
    const [channel, row, column] = [Math.floor(at / WIDTH / HEIGHT), Math.floor(at / WIDTH) % HEIGHT, at % WIDTH];
    if ((Math.floor(row / PATCH) + Math.floor(column / PATCH)) % 2 === 0) continue;
    sum += ((value - data[4 * (row * WIDTH + column) + channel]!) / 255) ** 2;
    count++;
  }
  return sum / count;
}

const run = (pixels: Pixels, layer: UpsampleLayer, signal = new AbortController().signal): Promise<Learned> =>
  learn({ pixels, layer, device: 'cpu', signal, onProgress: () => undefined });

describe.each(SCALES)('a kernel for %i times', (scale) => {
  test('is judged on the patches that are held back, before and after', async () => {
    const picture = discs();
    const { before, after, layer, held } = await run(picture, layerToLearn(scale));
    expect(held).toBe(6);
    expect(decibels(before.held)).toBeCloseTo(decibels(errorOf(picture, layerOf('bilinear', scale))), 3);
    expect(decibels(after.held)).toBeCloseTo(decibels(errorOf(picture, layer)), 3);
    expect(decibels(after.held) - decibels(before.held)).toBeGreaterThan(0.5);
  });

  test('starts as bilinear', () => {
    const picture = discs();
    expect(errorOf(picture, layerToLearn(scale))).toBeCloseTo(errorOf(picture, layerOf('bilinear', scale)), 9);
  });

  test('keeps flat pictures flat', () => {
    const { kernel } = layerToLearn(scale);
    const plane = Float32Array.from({ length: kernel ** 2 }, (_, i) => Math.sin(i));
    const sums = new Map<string, number>();
    for (const [i, weight] of keepFlat(plane, kernel, scale).entries()) {
      const phase = `${Math.floor(i / kernel) % scale} ${(i % kernel) % scale}`;
      sums.set(phase, (sums.get(phase) ?? 0) + weight);
    }
    expect(sums.size).toBe(scale ** 2);
    for (const sum of sums.values()) expect(sum).toBeCloseTo(1, 5);
  });
});

test('what is held back is not learned from: other pixels there, the same kernel', async () => {
  const picture = discs();
  const other = { ...picture, data: picture.data.slice() };
  // In the middle of a patch, beyond the reach of its neighbours.
  for (let y = 16; y < PATCH - 16; y++) {
    for (let x = 16; x < PATCH - 16; x++)
      other.data.fill(0, 4 * (y * WIDTH + PATCH + x), 4 * (y * WIDTH + PATCH + x) + 3);
  }
  const [one, two] = [await run(picture, layerToLearn(2)), await run(other, layerToLearn(2))];
  expect(two.after.held).not.toBe(one.after.held);
  expect(two.layer.weight.data).toEqual(one.layer.weight.data);
});

test('the patch that is shown is the one that bilinear comes least close to', async () => {
  const { patch } = await run(randomPixels(HEIGHT, WIDTH, 3), layerToLearn(3));
  const difference = (pixels: Pixels): number =>
    pixels.data.reduce((sum, value, i) => sum + (value - patch.original.data[i]!) ** 2, 0);
  expect(difference(patch.before)).toBeGreaterThan(difference(patch.after));
  expect(patch.original).toMatchObject({ width: 44, height: 44 });
});

test('an abort ends learning with its reason', async () => {
  const stop = new AbortController();
  const lesson = { pixels: discs(), layer: layerToLearn(2), device: 'cpu', signal: stop.signal } as const;
  let last = 0;
  const learning = learn({
    ...lesson,
    onProgress: (step) => {
      last = step;
      if (step === 20) stop.abort(new Error('enough'));
    },
  });
  await expect(learning).rejects.toThrow('enough');
  expect(last).toBe(20);
});

test('a picture without two patches is refused', async () => {
  await expect(run(randomPixels(PATCH, 2 * PATCH - 1, 1), layerToLearn(2))).rejects.toThrow('at least');
});
