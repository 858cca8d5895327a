// Pictures, frames and live video of a page, onto its canvases.
import { afterEach, beforeAll, describe, expect, test } from 'vitest';
import { upsampleVideo } from '../../examples/image.ts';
import { imageToTensor, tensorToCanvas, type ImageSource } from '../../src/image/index.ts';
import { bilinearWeight, ConvTranspose2dError, download, upload } from '../../src/index.ts';
import { convTranspose2dReference } from '../../src/reference.ts';
import { testDevice } from '../support/gpu.ts';
import { pictureBytes } from '../support/pictures.ts';
import { inScopes } from '../support/scopes.ts';
import { tensorOf, valuesOf } from '../support/tensors.ts';
import { byteBound, elementBound } from '../support/tolerance.ts';

/** Chromium's, and not yet in TypeScript's library: a camera whose frames a program writes. */
declare class MediaStreamTrackGenerator extends EventTarget {
  constructor(options: { kind: 'video' });
  readonly writable: WritableStream<VideoFrame>;
}

const [height, width] = [12, 20];
// Opaque: a bitmap and a 2-D canvas hold colours multiplied by alpha, which is lossy.
const bytes = pictureBytes(height, width).map((byte, i) => (i % 4 === 3 ? 255 : byte));
const imageData = new ImageData(new Uint8ClampedArray(bytes), width, height);

let device: GPUDevice;
beforeAll(async () => {
  device = await testDevice();
});
afterEach(() => {
  document.body.replaceChildren();
});

const frameOf = (timestamp = 0): VideoFrame =>
  new VideoFrame(bytes, { format: 'RGBA', codedWidth: width, codedHeight: height, timestamp });

/** Limits are no properties of their object itself. */
function limitsOf({ limits }: GPUDevice): Record<string, unknown> {
  const own: Record<string, unknown> = {};
  for (const name in limits) own[name] = limits[name as keyof GPUSupportedLimits];
  return own;
}

function drawn<C extends HTMLCanvasElement | OffscreenCanvas>(canvas: C): C {
  canvas.width = width;
  canvas.height = height;
  const context = (canvas as HTMLCanvasElement).getContext('2d')!;
  context.putImageData(imageData, 0, 0);
  return canvas;
}

async function imageElement(): Promise<HTMLImageElement> {
  const image = new Image(3, 3);
  image.src = URL.createObjectURL(await drawn(new OffscreenCanvas(1, 1)).convertToBlob());
  await image.decode();
  return image;
}

/** A live video of one picture, from a camera whose frames are as they were written: no codec is between. */
async function liveVideo(): Promise<{ video: HTMLVideoElement; stop: () => void }> {
  const camera = new MediaStreamTrackGenerator({ kind: 'video' });
  const writer = camera.writable.getWriter();
  const video = document.createElement('video');
  document.body.append(video);
  video.muted = true;
  video.srcObject = new MediaStream([camera as unknown as MediaStreamTrack]);
  let frames = 0;
  const timer = setInterval(() => void writer.write(frameOf(40_000 * frames++)), 40);
  await video.play();
  return {
    video,
    stop: () => {
      clearInterval(timer);
      video.srcObject = null;
    },
  };
}

/** A canvas's pixels, in the task that drew them: a WebGPU canvas is cleared after it was shown. */
function pixelsOf(canvas: HTMLCanvasElement | OffscreenCanvas): Uint8ClampedArray {
  const copy = new OffscreenCanvas(canvas.width, canvas.height).getContext('2d')!;
  copy.drawImage(canvas, 0, 0);
  return copy.getImageData(0, 0, canvas.width, canvas.height).data;
}

async function expectPicture(source: ImageSource): Promise<void> {
  const tensor = await inScopes(device, () => imageToTensor(device, source, { channels: 4, layout: 'NHWC' }));
  const host = await download(device, tensor);
  expect(host.shape).toEqual([1, height, width, 4]);
  const far = valuesOf(host).findIndex(
    (value, i) => !(Math.abs(value - bytes[i]! / 255) <= elementBound(bytes[i]! / 255, 0, 1)),
  );
  expect(far).toBe(-1);
  tensor.buffer.destroy();
}

describe('a picture becomes a tensor', () => {
  test.each<[string, () => ImageSource | Promise<ImageSource>]>([
    ['ImageData', () => imageData],
    ['ImageBitmap', () => createImageBitmap(imageData)],
    ['<img>, in its own size', imageElement],
    ['<canvas>', () => drawn(document.createElement('canvas'))],
    ['OffscreenCanvas', () => drawn(new OffscreenCanvas(1, 1))],
    ['VideoFrame', () => frameOf()],
  ])('%s', async (_, make) => {
    const source = await make();
    await expectPicture(source);
    if ('close' in source) source.close();
  });

  test('<video>', async () => {
    const { video, stop } = await liveVideo();
    await expectPicture(video);
    stop();
  });

  test('the colours of another space', async () => {
    const red = await inScopes(device, () =>
      imageToTensor(device, new ImageData(Uint8ClampedArray.of(255, 0, 0, 255), 1, 1), { colorSpace: 'display-p3' }),
    );
    // sRGB's red as Display P3's bytes: 234, 51, 35.
    const { data } = await download(device, red);
    expect(Array.from(data, (value) => Math.round(255 * value))).toEqual([234, 51, 35]);
  });

  test('what has no pixels yet is refused, and what it is not', () => {
    const refused = (source: unknown, message: RegExp): void => {
      const call = (): unknown => imageToTensor(device, source as ImageSource);
      expect(call).toThrow(ConvTranspose2dError);
      expect(call).toThrow(message);
    };
    refused(document.createElement('video'), /^source is \[object HTMLVideoElement\]; it has no pixels, or none yet/);
    refused(new Image(), /^source is \[object HTMLImageElement\]; it has no pixels, or none yet/);
    refused('picture.png', /^source is 'picture.png'; it must have pixels/);
    const canvas = new OffscreenCanvas(20_000, 1);
    expect(() => imageToTensor(device, canvas)).toThrow('the picture is 20000 × 1, the device allows');
  });
});

describe('a tensor goes onto a canvas', () => {
  test.each([
    ['<canvas>', () => document.createElement('canvas')],
    ['OffscreenCanvas', () => new OffscreenCanvas(7, 7)],
  ])('%s, which takes its size', async (_, make) => {
    const canvas = make();
    for (const batch of [0, 1]) {
      const shown = await inScopes(device, () => {
        const tensor = upload(
          device,
          tensorOf(
            [2, 3, 2, 4],
            Array.from({ length: 48 }, (_, i) => (i * 5) / 255),
          ),
        );
        tensorToCanvas(device, tensor, canvas, { index: batch });
        return pixelsOf(canvas);
      });
      expect([canvas.width, canvas.height]).toEqual([4, 2]);
      const element = (pixel: number, c: number): number => 5 * (24 * batch + 8 * c + pixel);
      expect(Array.from(shown)).toEqual(
        Array.from({ length: 32 }, (_, i) => (i % 4 === 3 ? 255 : element(Math.floor(i / 4), i % 4))),
      );
    }
  });

  test('with alpha, what is behind shines through', async () => {
    const canvas = new OffscreenCanvas(1, 1);
    const shown = await inScopes(device, () => {
      tensorToCanvas(device, upload(device, tensorOf([1, 4, 1, 1], [1, 0, 1, 0.4])), canvas);
      return pixelsOf(canvas);
    });
    expect(Array.from(shown)).toEqual([255, 0, 255, 102]);
  });

  test('again after the page has configured its context otherwise, or not at all; else it is configured once', async () => {
    const canvas = new OffscreenCanvas(1, 1);
    const context = canvas.getContext('webgpu')!;
    const other = await testDevice({ label: 'another device' });
    const tensor = upload(device, tensorOf([1, 3, 1, 1], [0.2, 0.4, 0.6]));
    const { COPY_DST } = GPUTextureUsage;
    const format = navigator.gpu.getPreferredCanvasFormat();
    const configure = context.configure.bind(context);
    let configured = 0;
    context.configure = (configuration) => {
      configured++;
      configure(configuration);
    };
    for (const before of [
      () => undefined,
      () => {
        context.unconfigure();
      },
      () => {
        configure({ device: other, format });
      },
      () => {
        configure({ device, format: 'rgba16float' });
      },
      () => {
        configure({ device, format, usage: COPY_DST });
      },
    ]) {
      before();
      configured = 0;
      for (let frame = 0; frame < 3; frame++) {
        const shown = await inScopes(device, () => {
          tensorToCanvas(device, tensor, canvas);
          return pixelsOf(canvas);
        });
        expect(Array.from(shown)).toEqual([51, 102, 153, 255]);
      }
      expect(configured).toBe(1);
    }
    tensor.buffer.destroy();
  });

  test('a picture larger than any texture is UNSUPPORTED, and the canvas stays as it was', async () => {
    const most = device.limits.maxTextureDimension2D;
    const tensor = upload(device, { shape: [1, 1, 1, most + 1], data: new Float32Array(most + 1) });
    const canvas = new OffscreenCanvas(1, 1);
    await inScopes(device, () => {
      expect(() => {
        tensorToCanvas(device, tensor, canvas);
      }).toThrow(`the picture is ${most + 1} × 1, the device allows ${most}`);
    });
    expect(canvas.width).toBe(1);
    tensor.buffer.destroy();
  });

  test('what is refused leaves the canvas as it was', async () => {
    const canvas = new OffscreenCanvas(5, 7);
    const tight = await testDevice({ label: 'tight device' });
    Object.defineProperty(tight, 'limits', {
      value: { ...limitsOf(tight), maxStorageBufferBindingSize: 256 },
    });
    const [small, large] = [
      [1, 1, 2, 2],
      [1, 1, 9, 9],
    ].map((shape) => upload(tight, tensorOf(shape, new Float32Array(shape[2]! * shape[3]!))));
    const encoder = {} as GPUCommandEncoder;
    for (const [code, show] of [
      [
        'INVALID_ARGUMENT',
        () => {
          tensorToCanvas(tight, small!, canvas, { encoder });
        },
      ],
      [
        'UNSUPPORTED',
        () => {
          tensorToCanvas(tight, large!, canvas);
        },
      ],
    ] as const) {
      expect(show).toThrow(expect.objectContaining({ code }) as Error);
      expect([canvas.width, canvas.height]).toEqual([5, 7]);
    }
    for (const { buffer } of [small!, large!]) buffer.destroy();
  });

  test('what is no canvas is refused', () => {
    const tensor = upload(device, tensorOf([1, 1, 1, 1], [1]));
    for (const none of [null, undefined, 'canvas', {}] as unknown as OffscreenCanvas[]) {
      expect(() => {
        tensorToCanvas(device, tensor, none);
      }).toThrow(/^canvas is .*; it must be a canvas/);
    }
    tensor.buffer.destroy();
  });

  test('a canvas that is drawn to otherwise is refused', () => {
    const tensor = upload(device, tensorOf([1, 1, 1, 1], [1]));
    expect(() => {
      tensorToCanvas(device, tensor, drawn(new OffscreenCanvas(1, 1)));
    }).toThrow('it has a context of another kind already');
    tensor.buffer.destroy();
  });
});

test('the example upsamples a live video as the CPU does', async () => {
  const { video, stop } = await liveVideo();
  const canvas = document.createElement('canvas');
  document.body.append(canvas);
  const controller = new AbortController();
  const frames: Uint8ClampedArray[] = [];
  // What is drawn onto the canvas is read in the task that submits it.
  const context = canvas.getContext('webgpu')!;
  const getCurrentTexture = context.getCurrentTexture.bind(context);
  const submit = device.queue.submit.bind(device.queue);
  let draws = false;
  context.getCurrentTexture = () => {
    draws = true;
    return getCurrentTexture();
  };
  device.queue.submit = (commands) => {
    submit(commands);
    if (!draws) return;
    draws = false;
    frames.push(pixelsOf(canvas));
    if (frames.length === 4) controller.abort();
  };
  try {
    await upsampleVideo(device, video, canvas, controller.signal);
  } finally {
    device.queue.submit = submit;
    stop();
  }

  const planes = tensorOf(
    [1, 3, height, width],
    Array.from(
      { length: 3 * height * width },
      (_, i) => bytes[4 * (i % (height * width)) + Math.floor(i / (height * width))]! / 255,
    ),
  );
  const options = { stride: 2, padding: 1, groups: 3 };
  const { data, shape } = convTranspose2dReference(planes, bilinearWeight(3, 4), null, options);
  expect(shape).toEqual([1, 3, 2 * height, 2 * width]);
  const plane = 4 * height * width;
  expect(frames.length).toBe(4);
  for (const frame of frames) {
    expect(frame.length).toBe(4 * plane);
    const far = Array.from({ length: 3 * plane }, (_, i) => {
      const byte = frame[4 * (i % plane) + Math.floor(i / plane)]!;
      return Math.abs(byte - 255 * data[i]!) <= byteBound(data[i]!, 0, 1) ? [] : [i];
    }).flat();
    expect(far).toEqual([]);
  }
});
