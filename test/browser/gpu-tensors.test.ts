// Several layers in the caller's encoder: the DCGAN generator of the examples, on a device that counts.
import { expect, test } from 'vitest';
import { DcganGenerator, foldBatchNorm, generate } from '../../examples/dcgan-generator.ts';
import { download, upload, type ConvTranspose2dOptions, type HostTensor } from '../../src/index.ts';
import { convTranspose2dReference } from '../../src/reference.ts';
import { count, device } from '../support/counted-device.ts';
import { inScopes } from '../support/scopes.ts';
import { floatTensor, integerTensor, lengthOf, tensorOf, valuesOf } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

const features = 8;
const batch = 2;
const channels = [100, 8 * features, 4 * features, 2 * features, features, 3];

/** Small integers keep every sum exact; the last layer's are scaled, by a power of two, to where tanh is not flat. */
const states = channels.slice(1).map((outs, i) => {
  const scale = i === 4 ? 2 ** -14 : 1;
  const scaled = (tensor: HostTensor): HostTensor =>
    tensorOf(
      tensor.shape,
      valuesOf(tensor).map((value) => value * scale),
    );
  return {
    weight: scaled(integerTensor([channels[i]!, outs, 4, 4], i + 1, 1)),
    bias: scaled(integerTensor([outs], 10 + i, 3)),
  };
});
const optionsOf = (i: number): ConvTranspose2dOptions => ({
  ...(i === 0 ? {} : { stride: 2, padding: 1 }),
  activation: i === 4 ? 'tanh' : 'relu',
});

/** What the last layer is given, by the reference. */
function beforeLast(latent: HostTensor): HostTensor {
  return states.slice(0, 4).reduce((input, { weight, bias }, i) => {
    const { shape, data } = convTranspose2dReference(input, weight, bias, optionsOf(i));
    return tensorOf(shape, data);
  }, latent);
}
const wrong = (image: HostTensor, latent: HostTensor): string | undefined =>
  mismatch(image, { input: beforeLast(latent), ...states[4]!, options: optionsOf(4) }, { lane: 'float' });

async function generator(): Promise<DcganGenerator> {
  const made = new DcganGenerator(device, { features, batch });
  await made.load(states);
  return made;
}

test('a generator of five layers in one encoder, from and into the middle of the caller’s buffers', async () => {
  const dcgan = await generator();
  const latent = integerTensor(dcgan.latentShape, 20, 1);
  const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const [before, after] = [512, 64];
  const bytes = 4 * lengthOf(dcgan.latentShape);
  const from = device.createBuffer({ label: 'latents', size: before + bytes + after, usage });
  device.queue.writeBuffer(from, before, latent.data as Float32Array<ArrayBuffer>);
  // Around the image stand numbers that nobody may touch.
  const length = lengthOf(dcgan.imageShape);
  const into = upload(device, tensorOf([64 + length + 16], new Float32Array(64 + length + 16).fill(7)));

  await inScopes(device, () => {
    const encoder = device.createCommandEncoder({ label: 'the caller’s' });
    const input = { shape: dcgan.latentShape, buffer: from, offset: before };
    dcgan.encode(encoder, input, { shape: dcgan.imageShape, buffer: into.buffer, offset: 256 });
    device.queue.submit([encoder.finish()]);
  });

  const numbers = valuesOf(await download(device, into));
  const image = tensorOf(dcgan.imageShape, numbers.slice(64, 64 + length));
  expect(wrong(image, latent)).toBeUndefined();
  expect([...numbers.slice(0, 64), ...numbers.slice(64 + length)]).toEqual(Array.from({ length: 80 }, () => 7));
  // Were tanh flat everywhere, it could hide anything.
  expect([...valuesOf(image)].filter((value) => Math.abs(value) < 0.99).length).toBeGreaterThan(length / 4);
  dcgan.destroy();
});

test('encode submits nothing, reads nothing back, and makes nothing once it has met its tensors', async () => {
  const dcgan = await generator();
  const from = upload(device, integerTensor(dcgan.latentShape, 21, 1));
  const into = upload(device, tensorOf(dcgan.imageShape, new Float32Array(lengthOf(dcgan.imageShape))));
  const encoders = ['first', 'second'].map((label) => device.createCommandEncoder({ label }));
  let submits = 0;
  const { queue } = device;
  const submit = queue.submit.bind(queue);
  queue.submit = (commands) => {
    submits++;
    submit(commands);
  };
  const madeBy = await inScopes(device, () =>
    encoders.map((encoder) =>
      count.during(() => {
        dcgan.encode(encoder, from, into);
      }),
    ),
  );
  expect(submits).toBe(0);
  // One a dispatch: four of the five layers write their input as texels first.
  expect(madeBy).toEqual([{ BindGroup: 9 }, {}]);
  device.queue.submit(encoders.map((encoder) => encoder.finish()));
  dcgan.destroy();
});

test('the page’s own loop', async () => {
  const dcgan = await generator();
  const latent = integerTensor(dcgan.latentShape, 22, 1);
  const length = lengthOf(dcgan.imageShape);
  const into = upload(device, tensorOf([64 + length], new Float32Array(64 + length)));
  await inScopes(device, () => {
    generate(device, dcgan, latent.data as Float32Array, into.buffer);
  });
  const numbers = valuesOf(await download(device, into));
  expect(wrong(tensorOf(dcgan.imageShape, numbers.slice(64)), latent)).toBeUndefined();
  dcgan.destroy();
});

test('folding a batch norm gives what normalizing the output gives', () => {
  const input = floatTensor([1, 3, 4, 4], 30);
  const weight = floatTensor([3, 2, 4, 4], 31);
  const norm = {
    gamma: Float32Array.of(0.5, -2),
    beta: Float32Array.of(0.25, 1),
    mean: Float32Array.of(-1, 3),
    variance: Float32Array.of(0.25, 4),
    epsilon: 0,
  };
  const folded = foldBatchNorm(weight, norm);
  const plain = convTranspose2dReference(input, weight);
  const normalized = plain.data.map((value, at) => {
    const channel = Math.floor(at / 49) % 2;
    const deviation = Math.sqrt(norm.variance[channel]!);
    return (norm.gamma[channel]! * (value - norm.mean[channel]!)) / deviation + norm.beta[channel]!;
  });
  // Scales of ±1, so that folding rounds nothing.
  const problem = { input, weight: folded.weight, bias: folded.bias };
  expect(mismatch(tensorOf(plain.shape, normalized), problem, { lane: 'float' })).toBeUndefined();
});
