import { describe, expect, test } from 'vitest';
import type { HostTensor } from 'webgpu-conv-transpose2d';
import { convTranspose2dReference } from 'webgpu-conv-transpose2d/reference';
import { KERNEL_IDS, layerOf, paddingOf, roundingBound, SCALES } from '../../demo/src/upsample/kernels.ts';
import { CHANNELS, stripToTensor } from '../../demo/src/upsample/pixels.ts';
import { chooseSamples, localReference, SAMPLE_COUNT, SampleCheck } from '../../demo/src/upsample/sample-check.ts';
import { boundsOf } from '../support/tolerance.ts';
import { randomPixels } from './pictures.ts';

describe('samples', () => {
  test.each([
    [720, 1080],
    [4320, 7680],
    [5, 100_000],
    [100_000, 5],
  ])('of a result of %i × %i are 4,096, inside, ordered by row and spread', (height, width) => {
    const samples = chooseSamples(CHANNELS, height, width);
    expect(samples).toHaveLength(SAMPLE_COUNT);
    let last = 0;
    const cells = new Set<string>();
    for (const { channel, row, column } of samples) {
      expect(row).toBeGreaterThanOrEqual(last);
      last = row;
      expect(row).toBeLessThan(height);
      expect(column).toBeGreaterThanOrEqual(0);
      expect(column).toBeLessThan(width);
      cells.add(`${channel} ${Math.floor((4 * row) / height)} ${Math.floor((4 * column) / width)}`);
    }
    expect(cells.size).toBe(CHANNELS * 4 * 4);
  });

  test('are all values of a small result', () => {
    const samples = chooseSamples(CHANNELS, 7, 9);
    expect(new Set(samples.map((sample) => JSON.stringify(sample))).size).toBe(CHANNELS * 7 * 9);
  });
});

describe.each(KERNEL_IDS.flatMap((id) => SCALES.map((scale) => [id, scale] as const)))('%s at %i×', (id, scale) => {
  const pixels = randomPixels(11, 9, scale);
  const layer = layerOf(id, scale);
  const bound = roundingBound(layer);
  const problem = {
    input: stripToTensor(pixels, { start: 0, end: pixels.height }, layer.halo),
    weight: layer.weight,
    options: { stride: scale, padding: paddingOf(layer), groups: CHANNELS },
  };
  const whole = convTranspose2dReference(problem.input, problem.weight, null, problem.options);
  const output: HostTensor = { shape: whole.shape, data: Float32Array.from(whole.data) };

  test('the local reference equals the reference of the whole picture, at every output', () => {
    const at = localReference(pixels, layer);
    for (const sample of chooseSamples(CHANNELS, whole.shape[2]!, whole.shape[3]!, Infinity)) {
      const { channel, row, column } = sample;
      expect(at(sample)).toBe(whole.data[(channel * whole.shape[2]! + row) * whole.shape[3]! + column]);
    }
  });

  test('the bound on the page is no looser than the bound of the tests', () => {
    const white = { ...problem.input, data: problem.input.data.map(() => 255) };
    const allowed = Math.max(...boundsOf({ ...problem, input: white }));
    expect(bound).toBeLessThanOrEqual(allowed * (1 + 2 ** -20));
  });

  test('a right result passes, and a wrong value or NaN is found', async () => {
    const judge = async (result: HostTensor): Promise<number> => {
      const check = new SampleCheck(pixels, layer);
      await check.compare(result, 0);
      return check.largest;
    };
    expect(await judge(output)).toBeLessThanOrEqual(bound);
    const wrong = (value: number): HostTensor => {
      const data = Float32Array.from(whole.data);
      data[0] = value;
      return { shape: whole.shape, data };
    };
    expect(await judge(wrong(whole.data[0]! + 1))).toBeCloseTo(1, 4);
    expect(await judge(wrong(NaN))).toBeNaN();
  });
});
