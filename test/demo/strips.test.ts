import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { convTranspose2d, type HostTensor } from 'webgpu-conv-transpose2d';
import { convTranspose2dReference } from 'webgpu-conv-transpose2d/reference';
import { KERNEL_IDS, layerOf, paddingOf, SCALES } from '../../demo/src/upsample/kernels.ts';
import { CHANNELS, stripToTensor, tensorToRgba } from '../../demo/src/upsample/pixels.ts';
import { planStrips } from '../../demo/src/upsample/strips.ts';
import { randomPixels } from './pictures.ts';

const request = fc.record({
  height: fc.integer({ min: 1, max: 2000 }),
  width: fc.integer({ min: 1, max: 2000 }),
  channels: fc.integer({ min: 1, max: 4 }),
  scale: fc.constantFrom(...SCALES),
  maxOutputValues: fc.integer({ min: 1, max: 2 ** 22 }),
});

describe('a plan of strips', () => {
  test('covers every row once, in order', () => {
    fc.assert(
      fc.property(request, (given) => {
        let next = 0;
        for (const { start, end } of planStrips(given)) {
          expect(start).toBe(next);
          expect(end).toBeGreaterThan(start);
          next = end;
        }
        expect(next).toBe(given.height);
      }),
    );
  });

  test('keeps each output within the limit, down to one row of input', () => {
    fc.assert(
      fc.property(request, (given) => {
        for (const { start, end } of planStrips(given)) {
          const values = (end - start) * given.width * given.channels * given.scale ** 2;
          expect(end - start === 1 || values <= given.maxOutputValues).toBe(true);
        }
      }),
    );
  });

  test('has one shape, but for the last strip', () => {
    fc.assert(
      fc.property(request, (given) => {
        const heights = planStrips(given).map(({ start, end }) => end - start);
        expect(new Set(heights.slice(0, -1)).size).toBeLessThanOrEqual(1);
        expect(heights.at(-1)).toBeLessThanOrEqual(heights[0] ?? 0);
      }),
    );
  });

  test('is a single strip where everything fits', () => {
    const plan = planStrips({ height: 10, width: 10, channels: 3, scale: 2, maxOutputValues: 1200 });
    expect(plan).toEqual([{ start: 0, end: 10 }]);
  });
});

const cases = KERNEL_IDS.flatMap((id) => SCALES.map((scale) => [id, scale] as const));
describe.each(cases)('strips with halos, %s at %i×', (id, scale) => {
  const layer = layerOf(id, scale);
  const options = { stride: scale, padding: paddingOf(layer), groups: CHANNELS };
  const pixels = randomPixels(23, 37, scale);
  const whole = stripToTensor(pixels, { start: 0, end: pixels.height }, layer.halo);

  const byReference = (input: HostTensor): HostTensor => {
    const { shape, data } = convTranspose2dReference(input, layer.weight, null, options);
    return { shape, data: Float32Array.from(data) };
  };
  const byCpu = (input: HostTensor): Promise<HostTensor> =>
    convTranspose2d(input, layer.weight, null, { ...options, device: 'cpu' });

  test.each([
    ['the reference', byReference],
    ['the CPU', byCpu],
  ] as const)('give exactly the unstripped result on %s', async (_, run) => {
    const unstripped = await run(whole);
    expect(unstripped.shape).toEqual([1, CHANNELS, scale * pixels.height, scale * pixels.width]);
    for (const rows of [1, 2, 5, 22]) {
      const maxOutputValues = rows * CHANNELS * scale * scale * pixels.width;
      const strips = planStrips({ ...pixels, channels: CHANNELS, scale, maxOutputValues });
      expect(strips.length).toBeGreaterThan(1);
      const outputs = await Promise.all(strips.map(async (strip) => run(stripToTensor(pixels, strip, layer.halo))));
      expect(joinRows(outputs)).toEqual(unstripped);
    }
  });

  test('keep a flat picture flat, to its very edge', () => {
    const flat = { width: 5, height: 4, data: new Uint8ClampedArray(4 * 20).fill(255) };
    const rgba = toRgba(byReference(stripToTensor(flat, { start: 0, end: 4 }, layer.halo)));
    expect(rgba.every((byte) => byte === 255)).toBe(true);
  });
});

function toRgba(output: HostTensor): Uint8ClampedArray {
  const rgba = new Uint8ClampedArray((output.data.length / CHANNELS) * 4);
  tensorToRgba(output, rgba, 0);
  return rgba;
}

/** Tensors (1, channels, rows, width), one below the other. */
function joinRows(parts: readonly HostTensor[]): HostTensor {
  const height = parts.reduce((sum, { shape }) => sum + shape[2]!, 0);
  const [, channels = 0, , width = 0] = parts[0]!.shape;
  const data = new Float32Array(channels * height * width);
  for (let channel = 0; channel < channels; channel++) {
    let row = 0;
    for (const part of parts) {
      const plane = part.shape[2]! * width;
      data.set(
        (part.data as Float32Array).subarray(channel * plane, (channel + 1) * plane),
        (channel * height + row) * width,
      );
      row += part.shape[2]!;
    }
  }
  return { shape: [1, channels, height, width], data };
}
