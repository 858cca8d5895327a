/** The kernels against what their names promise, from definitions that know nothing of transposed convolutions. */
import { describe, expect, test } from 'vitest';
import { convTranspose2dReference } from 'webgpu-conv-transpose2d/reference';
import { KERNEL_IDS, layerOf, paddingOf, SCALES, type KernelId, type Scale } from '../../demo/src/upsample/kernels.ts';
import { CHANNELS, stripToTensor, valueAt, type Pixels } from '../../demo/src/upsample/pixels.ts';
import { randomPixels } from './pictures.ts';

const sinc = (x: number): number => (x === 0 ? 1 : Math.sin(Math.PI * x) / (Math.PI * x));

/** The value at `at`, in input pixels, of the curve through equally distant values. */
const INTERPOLATIONS: Readonly<Record<KernelId, (value: (i: number) => number, at: number) => number>> = {
  nearest: (value, at) => value(Math.round(at)),
  bilinear(value, at) {
    const i = Math.floor(at);
    return value(i) + (at - i) * (value(i + 1) - value(i));
  },
  // Catmull and Rom's spline: through its points, with the slope of their neighbours' chord (Hermite's basis).
  bicubic(value, at) {
    const i = Math.floor(at);
    const t = at - i;
    const [from, to] = [value(i), value(i + 1)];
    const [leave, arrive] = [(to - value(i - 1)) / 2, (value(i + 2) - from) / 2];
    return (
      (2 * t ** 3 - 3 * t ** 2 + 1) * from +
      (t ** 3 - 2 * t ** 2 + t) * leave +
      (-2 * t ** 3 + 3 * t ** 2) * to +
      (t ** 3 - t ** 2) * arrive
    );
  },
  lanczos(value, at) {
    let [sum, weights] = [0, 0];
    for (let i = Math.ceil(at - 3); i <= at + 3; i++) {
      const weight = sinc(at - i) * sinc((at - i) / 3);
      sum += weight * value(i);
      weights += weight;
    }
    return sum / weights;
  },
};

/** A picture enlarged by interpolation: rows first, then columns; beyond the edge the last pixel goes on. */
function interpolate(pixels: Pixels, id: KernelId, scale: Scale, channel: number, row: number, column: number): number {
  const along = INTERPOLATIONS[id];
  const place = (output: number): number => (output + 0.5) / scale - 0.5;
  return along((i) => along((j) => valueAt(pixels, channel, i, j), place(column)), place(row));
}

const cases = KERNEL_IDS.flatMap((id) => SCALES.map((scale) => [id, scale] as const));

describe.each(cases)('%s at %i×', (id, scale) => {
  const layer = layerOf(id, scale);
  const pixels = randomPixels(7, 9, scale);

  test('is the interpolation of that name', () => {
    const input = stripToTensor(pixels, { start: 0, end: pixels.height }, layer.halo);
    const options = { stride: scale, padding: paddingOf(layer), groups: CHANNELS };
    const { shape, data } = convTranspose2dReference(input, layer.weight, null, options);
    const [, , height = 0, width = 0] = shape;
    expect([height, width]).toEqual([scale * pixels.height, scale * pixels.width]);
    data.forEach((value, i) => {
      const channel = Math.floor(i / (height * width));
      const expected = interpolate(pixels, id, scale, channel, Math.floor(i / width) % height, i % width);
      // Weights are rounded to 32 bits once: up to 36 of them, each at most 1.4 in sum, with values up to 255.
      expect(Math.abs(value - expected)).toBeLessThan(255 * 2 ** -23);
    });
  });

  test('the weights that meet in one output add up to one', () => {
    const { kernel } = layer;
    const sums = new Map<string, number>();
    for (let i = 0; i < kernel * kernel; i++) {
      const phase = `${Math.floor(i / kernel) % scale} ${(i % kernel) % scale}`;
      sums.set(phase, (sums.get(phase) ?? 0) + Number(layer.weight.data[i]));
    }
    expect(sums.size).toBe(scale * scale);
    for (const sum of sums.values()) expect(sum).toBeCloseTo(1, 6);
  });
});
