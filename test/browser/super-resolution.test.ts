// The example that learns: on patches of one picture, judged on others of it.
import { expect, test } from 'vitest';
import { startingWeight, SuperResolution } from '../../examples/super-resolution.ts';
import { upload, type HostTensor } from '../../src/index.ts';
import { convTranspose2dReference } from '../../src/reference.ts';
import { testDevice } from '../support/gpu.ts';
import { randomFrom, tensorOf, valuesOf } from '../support/tensors.ts';

const SIZE = 256;
const PATCH = 32;

/** Discs, bars and stripes with sharp edges, each pixel the mean of 16 points. */
function picture(seed: number): Float64Array {
  const random = randomFrom(seed);
  const shapes = Array.from({ length: 90 }, () => ({
    x: random() * SIZE,
    y: random() * SIZE,
    size: 4 + random() * 24,
    angle: random() * Math.PI,
    kind: Math.floor(random() * 3),
    value: random(),
    period: 5 + random() * 8,
  }));
  const at = (x: number, y: number): number =>
    shapes.reduce((value, shape) => {
      const [dx, dy] = [x - shape.x, y - shape.y];
      const [along, across] = [
        dx * Math.cos(shape.angle) + dy * Math.sin(shape.angle),
        dy * Math.cos(shape.angle) - dx * Math.sin(shape.angle),
      ];
      if (shape.kind === 0) return dx * dx + dy * dy < shape.size ** 2 ? shape.value : value;
      const inside = Math.abs(along) < shape.size && Math.abs(across) < shape.size / (shape.kind === 1 ? 4 : 1);
      if (!inside) return value;
      return shape.kind === 1 ? shape.value : 0.5 + 0.4 * Math.sin((2 * Math.PI * across) / shape.period);
    }, 0.5);
  const data = new Float64Array(SIZE * SIZE);
  for (let y = 0; y < SIZE; y++)
    for (let x = 0; x < SIZE; x++)
      for (let s = 0; s < 16; s++)
        data[y * SIZE + x]! += at(x + ((s % 4) + 0.5) / 4, y + (Math.floor(s / 4) + 0.5) / 4) / 16;
  return data;
}

/** Large patches, and the small ones that a camera of half the resolution sees. */
function patches(image: Float64Array, rest: 0 | 1): { small: HostTensor; large: HostTensor } {
  const [large, small]: [number[], number[]] = [[], []];
  let count = 0;
  for (let top = 0; top < SIZE; top += PATCH) {
    for (let left = 0; left < SIZE; left += PATCH) {
      // A chessboard of patches: one colour learns, the other is held back.
      if ((top / PATCH + left / PATCH) % 2 !== rest) continue;
      count++;
      const pixel = (y: number, x: number): number => image[(top + y) * SIZE + left + x]!;
      for (let y = 0; y < PATCH; y++) for (let x = 0; x < PATCH; x++) large.push(pixel(y, x));
      for (let y = 0; y < PATCH; y += 2)
        for (let x = 0; x < PATCH; x += 2)
          small.push((pixel(y, x) + pixel(y, x + 1) + pixel(y + 1, x) + pixel(y + 1, x + 1)) / 4);
    }
  }
  return {
    small: tensorOf([count, 1, PATCH / 2, PATCH / 2], small),
    large: tensorOf([count, 1, PATCH, PATCH], large),
  };
}

/** Decibels, over what lies further from a patch's border than any kernel reaches. */
function psnr(output: ArrayLike<number>, { data }: HostTensor): number {
  let [sum, count] = [0, 0];
  for (let at = 0; at < data.length; at++) {
    const [y, x] = [Math.floor(at / PATCH) % PATCH, at % PATCH];
    if (Math.min(y, x) < 4 || Math.max(y, x) >= PATCH - 4) continue;
    sum += (output[at]! - data[at]!) ** 2;
    count++;
  }
  return -10 * Math.log10(sum / count);
}

test('after learning, patches that were held back come out 0.5 dB better than bilinear', async () => {
  const device = await testDevice();
  const image = picture(7);
  const [learning, held] = [patches(image, 0), patches(image, 1)];
  const model = new SuperResolution(device);
  const [small, large] = [upload(device, learning.small), upload(device, learning.large)];
  for (let step = 0; step < 200; step++) model.step(small, large);
  const learned = psnr(valuesOf(await model.layer.forward(held.small)), held.large);
  const options = { stride: 2, padding: 3 };
  const bilinear = psnr(convTranspose2dReference(held.small, startingWeight(), null, options).data, held.large);
  console.log(`bilinear ${bilinear.toFixed(2)} dB, learned ${learned.toFixed(2)} dB`);
  expect(learned - bilinear).toBeGreaterThanOrEqual(0.5);
  for (const { buffer } of [small, large]) buffer.destroy();
  model.destroy();
});
