// Textures to tensors and back, on any device, against the same sums on the CPU.
import { beforeAll, describe, expect, test } from 'vitest';
import {
  tensorToTexture,
  textureToTensor,
  type TensorToTextureOptions,
  type TextureToTensorOptions,
} from '../../src/image/index.ts';
import { ConvTranspose2dError, download, upload, type GpuTensor } from '../../src/index.ts';
import { Count } from '../support/count.ts';
import { notCompiling, outOfMemory, sooner } from '../support/failing.ts';
import { testDevice } from '../support/gpu.ts';
import { pictureBytes, readTexture, textureOf } from '../support/pictures.ts';
import { inScopes } from '../support/scopes.ts';
import { floatTensor, tensorOf, valuesOf } from '../support/tensors.ts';
import { byteBound, elementBound } from '../support/tolerance.ts';

let device: GPUDevice;
beforeAll(async () => {
  device = await testDevice();
});

const of = (value: TextureToTensorOptions['mean'], channel: number, fallback: number): number =>
  typeof value === 'number' ? value : (value?.[channel] ?? fallback);

/** Compares a tensor with the pixels that it was made of. */
async function expectElements(
  tensor: GpuTensor,
  bytes: Uint8Array,
  [height, width]: readonly [number, number],
  { layout = 'NCHW', channels = 3, mean, std, dtype = 'float32' }: TextureToTensorOptions,
  on = device,
): Promise<void> {
  const host = await download(on, tensor);
  expect(host.shape).toEqual(layout === 'NCHW' ? [1, channels, height, width] : [1, height, width, channels]);
  expect(tensor.dtype).toBe(dtype);
  const values = valuesOf(host);
  const byte = (row: number, column: number, c: number): number => bytes[4 * (row * width + column) + c]! / 255;
  const wrong: string[] = [];
  for (let row = 0; row < height; row++) {
    for (let column = 0; column < width; column++) {
      for (let c = 0; c < channels; c++) {
        const rgb = [0, 1, 2].map((i) => byte(row, column, i));
        const pixel = channels === 1 ? 0.299 * rgb[0]! + 0.587 * rgb[1]! + 0.114 * rgb[2]! : byte(row, column, c);
        const [m, s] = [of(mean, c, 0), of(std, c, 1)];
        const at = layout === 'NCHW' ? (c * height + row) * width + column : (row * width + column) * channels + c;
        const wanted = (pixel - m) / s;
        if (!(Math.abs(values[at]! - wanted) <= elementBound(pixel, m, s, dtype)))
          wrong.push(`[${c}, ${row}, ${column}]: ${values[at]!} instead of ${wanted}`);
      }
    }
  }
  expect(wrong).toEqual([]);
}

const sizes = [
  [1, 1],
  [3, 5],
  [7, 64],
  [65, 33],
] as const;
const ways: readonly TextureToTensorOptions[] = [
  {},
  { channels: 1 },
  { channels: 4, layout: 'NHWC' },
  { layout: 'NHWC', mean: 0.5, std: 0.5 },
  { mean: [0.485, 0.456, 0.406], std: [0.229, 0.224, 0.225] },
  { channels: 1, std: 1 / 255, layout: 'NHWC' },
  { dtype: 'float16' },
  { dtype: 'float16', layout: 'NHWC', channels: 1, mean: 0.5, std: 0.5 },
  { dtype: 'float16', channels: 4 },
];

describe.each(sizes)('%i × %i', (height, width) => {
  test.each(ways)('a texture as a tensor: %o', async (options) => {
    const bytes = pictureBytes(height, width);
    const texture = await inScopes(device, () => textureOf(device, bytes, height, width));
    const tensor = await inScopes(device, () => textureToTensor(device, texture, options));
    await expectElements(tensor, bytes, [height, width], options);
    tensor.buffer.destroy();
    texture.destroy();
  });

  test.each(ways.filter(({ channels }) => channels !== 1))('there and back, byte by byte: %o', async (options) => {
    const { layout, mean, std, channels = 3 } = options;
    const bytes = pictureBytes(height, width).map((byte, i) => (channels === 3 && i % 4 === 3 ? 255 : byte));
    const texture = await inScopes(device, () => textureOf(device, bytes, height, width));
    const target = await inScopes(device, () => textureOf(device, new Uint8Array(bytes.length), height, width));
    await inScopes(device, () => {
      const tensor = textureToTensor(device, texture, options);
      tensorToTexture(device, tensor, target, { layout, mean, std });
    });
    expect(await readTexture(device, target)).toEqual(bytes);
    texture.destroy();
    target.destroy();
  });
});

describe('a tensor as a texture', () => {
  const [height, width] = [9, 6];
  test.each<[number[], TensorToTextureOptions, 'float32' | 'float16']>([
    [[2, 3, height, width], { index: 1, std: 0.25, mean: [0.5, 0.25, 0.75] }, 'float32'],
    [[3, 1, height, width], { index: 2, std: 0.5, mean: 0.5 }, 'float16'],
    [[height, width, 4], { layout: 'NHWC' }, 'float16'],
    [[2, height, width, 4], { layout: 'NHWC', index: 1, premultipliedAlpha: true, mean: 0.5, std: 0.5 }, 'float32'],
    [[1, height, width], {}, 'float32'],
  ])('%j, %o, %s: clamped, rounded, no picture but its own', async (shape, options, dtype) => {
    const { layout = 'NCHW', index = 0, mean, std, premultipliedAlpha = false } = options;
    const host = floatTensor(shape, 5, dtype);
    const values = valuesOf(host);
    const channels = layout === 'NCHW' ? shape.at(-3) : shape.at(-1);
    const target = await inScopes(device, () => textureOf(device, pictureBytes(height, width), height, width));
    await inScopes(device, () => {
      tensorToTexture(device, upload(device, host), target, options);
    });
    const bytes = await readTexture(device, target);
    const wrong: string[] = [];
    for (let pixel = 0; pixel < height * width; pixel++) {
      const element = (c: number): number =>
        values[
          index * channels * height * width + (layout === 'NCHW' ? c * height * width + pixel : pixel * channels + c)
        ]!;
      const scaled = (c: number): number => Math.min(1, Math.max(0, element(c) * of(std, c, 1) + of(mean, c, 0)));
      const alpha = channels === 4 ? scaled(3) : 1;
      for (let c = 0; c < 4; c++) {
        const from = channels === 1 ? 0 : c;
        const wanted = c === 3 ? alpha : scaled(from) * (premultipliedAlpha ? alpha : 1);
        const bound = c === 3 && channels < 4 ? 0 : byteBound(element(from), of(mean, from, 0), of(std, from, 1));
        const byte = bytes[4 * pixel + c]!;
        if (!(Math.abs(byte - 255 * wanted) <= bound)) wrong.push(`${pixel}.${c}: ${byte} instead of ${255 * wanted}`);
      }
    }
    expect(wrong).toEqual([]);
    target.destroy();
  });
});

/** The device, but for what `replaced` gives for a property. */
function standIn(real: GPUDevice, replaced: (name: string) => unknown): GPUDevice {
  return new Proxy(real, {
    get(target, name: string) {
      const value: unknown = replaced(name) ?? Reflect.get(target, name);
      return typeof value === 'function' ? (value.bind(target) as unknown) : value;
    },
  });
}

describe('buffers and encoders of the caller', () => {
  test('a tensor at an offset is written there and nowhere else, in an encoder that the caller submits', async () => {
    const bytes = pictureBytes(3, 5);
    const texture = await inScopes(device, () => textureOf(device, bytes, 3, 5));
    const whole = upload(device, { shape: [256], data: new Float32Array(256).fill(-7) });
    const output: GpuTensor = { shape: [1, 3, 3, 5], buffer: whole.buffer, offset: 256 };
    await inScopes(device, () => {
      const encoder = device.createCommandEncoder();
      expect(textureToTensor(device, texture, { encoder, output })).toBe(output);
      device.queue.submit([encoder.finish()]);
    });
    const { data } = await download(device, whole);
    const inside = Array.from(data).flatMap((value, i) => (value === -7 ? [] : [i]));
    expect(inside).toEqual(Array.from({ length: 45 }, (_, i) => 64 + i));
    whole.buffer.destroy();
    texture.destroy();
  });

  test('a second picture makes no pipeline and no parameters', async () => {
    const texture = await inScopes(device, () => textureOf(device, pictureBytes(4, 4), 4, 4));
    const first = await inScopes(device, () => textureToTensor(device, texture));
    const made: string[] = [];
    const spied = standIn(device, (name) => {
      if (name.startsWith('create')) made.push(name);
    });
    // The caches go by the device; a proxy is another, so it is warmed first.
    await inScopes(device, () => textureToTensor(spied, texture, { output: first }));
    made.length = 0;
    await inScopes(device, () => textureToTensor(spied, texture, { output: first }));
    expect(made.sort()).toEqual(['createBindGroup', 'createCommandEncoder']);
    texture.destroy();
  });
});

describe('wrong arguments are refused before any GPU work', () => {
  const refused = (call: () => unknown, message: RegExp): void => {
    expect(call).toThrow(ConvTranspose2dError);
    expect(call).toThrow(message);
  };

  test('by name, value and rule', async () => {
    const texture = await inScopes(device, () => textureOf(device, pictureBytes(2, 2), 2, 2));
    const to = (options: object) => () => textureToTensor(device, texture, options);
    refused(to({ channels: 2 }), /^channels is 2; it must be 3, 1, 4 or left out/);
    refused(to({ layout: 'CHW' }), /^layout is 'CHW'; it must be 'NCHW', 'NHWC' or left out/);
    refused(to({ mean: [1, 2] }), /^mean is \[1, 2\]; it must be a finite number, or one for each of 3 channels/);
    refused(to({ std: 0 }), /^std is 0; it must not be 0/);
    refused(to({ std: [1, NaN, 1] }), /^std is \[1, NaN, 1\]/);
    refused(to({ range: [0, 1] }), /^option 'range' is \[0, 1\]; known are layout, mean, std, channels/);
    refused(to({ encoder: 3 }), /^encoder is 3; it must be a GPUCommandEncoder/);
    refused(to(null as unknown as object), /^options is null/);
    refused(to({ output: { shape: [1, 3, 2, 2], buffer: {} } }), /^output buffer is/);
    refused(() => textureToTensor({} as GPUDevice, texture), /^device is/);

    const tensor = upload(device, { shape: [2, 3, 2, 2], data: new Float32Array(24) });
    const from = (options: object, given: GpuTensor = tensor) => {
      return () => {
        tensorToTexture(device, given, texture, options);
      };
    };
    refused(from({ encoder: {} }), /^encoder is {}; it must be a GPUCommandEncoder/);
    refused(from({ premultipliedAlpha: 'yes' }), /^premultipliedAlpha is 'yes'; it must be false, true or left out/);
    refused(from(3 as unknown as object), /^options is 3/);
    refused(from({ index: 2 }), /^index is 2; it must be an integer from 0 to 1/);
    refused(
      from({ layout: 'NHWC' }),
      /^tensor shape is \[2, 3, 2, 2\]; it must be \(N, H, W, C\), N left out or not, and C 1, 3 or 4/,
    );
    refused(from({}, { ...tensor, shape: [1, 3, 4, 2] }), /^texture size is \[2, 2\]; the tensor's picture is 2 × 4/);
    refused(from({}, { ...tensor, shape: [12] }), /^tensor shape is \[12\]/);
    tensor.buffer.destroy();
    texture.destroy();
  });

  test('textures that are no single picture', () => {
    const { TEXTURE_BINDING, RENDER_ATTACHMENT, COPY_DST } = GPUTextureUsage;
    const usage = TEXTURE_BINDING | RENDER_ATTACHMENT;
    const tensor = upload(device, { shape: [1, 3, 2, 2], data: new Float32Array(12) });
    const tries: [Partial<GPUTextureDescriptor>, RegExp][] = [
      [{ size: [2, 2, 6] }, /^texture depthOrArrayLayers is 6; it must be 1/],
      [{ dimension: '3d', size: [2, 2, 2] }, /^texture dimension is '3d'; it must be '2d'/],
      [{ sampleCount: 4 }, /^texture sampleCount is 4; it must be 1/],
      [{ usage: COPY_DST }, /^texture usage is 'COPY_DST'; it must include (TEXTURE_BINDING|RENDER_ATTACHMENT)/],
    ];
    for (const [descriptor, message] of tries) {
      const three = descriptor.dimension === '3d' ? { usage: TEXTURE_BINDING } : {};
      const texture = device.createTexture({ format: 'rgba8unorm', size: [2, 2], usage, ...three, ...descriptor });
      refused(() => textureToTensor(device, texture), message);
      refused(() => {
        tensorToTexture(device, tensor, texture);
      }, message);
      texture.destroy();
    }
    refused(() => textureToTensor(device, {} as GPUTexture), /^texture is {}; it must be a GPUTexture/);
    tensor.buffer.destroy();
  });

  test('a tensor beyond what the device binds is UNSUPPORTED', async () => {
    const texture = await inScopes(device, () => textureOf(device, pictureBytes(4, 4), 4, 4));
    const limits = { maxStorageBufferBindingSize: 100, maxBufferSize: 1000 };
    const limited = standIn(device, (name) => (name === 'limits' ? limits : undefined));
    expect(() => textureToTensor(limited, texture)).toThrow('the tensor takes 192 bytes, the device binds 100 at most');
    texture.destroy();
  });
});

test('what is beside a float16 tensor of an odd size stays as it is', async () => {
  const bytes = pictureBytes(3, 5);
  const around = upload(device, tensorOf([256 + 18], Array<number>(256 + 18).fill(7), 'float16'));
  const output: GpuTensor = { ...around, shape: [1, 1, 3, 5], offset: 512 };
  const from = textureOf(device, bytes, 3, 5);
  await inScopes(device, () => textureToTensor(device, from, { channels: 1, output }));
  await expectElements(output, bytes, [3, 5], { channels: 1, dtype: 'float16' });
  const values = valuesOf(await download(device, around));
  expect(new Set(values.slice(0, 256))).toEqual(new Set([7]));
  expect([...values.slice(256 + 15)]).toEqual([7, 7, 7]);
  around.buffer.destroy();
  from.destroy();
});

test.each([
  ['image to tensor', 'pipeline'],
  ['tensor to image', 'pipeline'],
  ['image params', 'buffer'],
])('%s: a %s that turns out invalid is not kept', async (name) => {
  const failing = await testDevice({ label: `without ${name}` });
  const bytes = pictureBytes(3, 5);
  const from = textureOf(failing, bytes, 3, 5);
  const usage = GPUTextureUsage.RENDER_ATTACHMENT | GPUTextureUsage.COPY_SRC;
  const to = failing.createTexture({ label: 'target', size: [5, 3], format: 'rgba8unorm', usage });
  const thereAndBack = () =>
    inScopes(failing, () => {
      const tensor = textureToTensor(failing, from, { channels: 4 });
      tensorToTexture(failing, tensor, to);
      return tensor;
    });
  let failed = 0;
  const fails = (label = ''): boolean => label === name && ++failed > 0;
  const stops = [notCompiling(failing, fails), outOfMemory(failing, ({ label }) => fails(label))];
  await expect(thereAndBack()).rejects.toThrow();
  expect(failed).toBeGreaterThan(0);
  for (const stop of stops) stop();
  const tensor = await sooner(thereAndBack);
  await expectElements(tensor, bytes, [3, 5], { channels: 4 }, failing);
  expect(await readTexture(failing, to)).toEqual(bytes);
});

test('a picture beyond the limit on bindings leaves nothing', async () => {
  const limited = await testDevice({ label: 'limited' });
  const count = new Count(limited);
  // What is refused is not looked at.
  const large = {
    ...{ width: 4096, height: 3000, dimension: '2d', depthOrArrayLayers: 1, sampleCount: 1 },
    usage: GPUTextureUsage.TEXTURE_BINDING,
  } as GPUTexture;
  expect(() => textureToTensor(limited, large)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }) as Error);
  expect(count.live.size).toBe(0);
});
