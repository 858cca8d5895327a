import { invalid } from '../invalid.ts';
import { optionsOf } from '../options.ts';
import type { GpuTensor } from '../types.ts';
import { checkDevice } from '../webgpu/buffers.ts';
import { textureToTensor, toTensorOptionNames, type TextureToTensorOptions } from './from-texture.ts';
import { checkPicture } from './gpu.ts';

/**
 * `<img>`, `<video>` and `<canvas>`, `ImageBitmap`, `ImageData`, `OffscreenCanvas` and `VideoFrame`. WebGPU's own name for them,
 * since the types of a worker know no elements.
 */
export type ImageSource = GPUCopyExternalImageSource;

/** How a picture becomes a tensor. */
export interface ImageToTensorOptions extends Omit<TextureToTensorOptions, 'encoder'> {
  /** What the source's colours are converted to; numbers are encoded as the colour space has it, not linear. Default 'srgb'. */
  colorSpace?: PredefinedColorSpace | undefined;
}

/**
 * A picture, or the current frame of a video, as a tensor of shape (1, C, H, W) or (1, H, W, C), in its own size. If its pixels are
 * on the GPU already, they stay there. Work that is submitted after this call finds the tensor filled.
 * @param source alpha is taken as not premultiplied; of three channels and of one, it is left out
 * @throws ConvTranspose2dError INVALID_ARGUMENT, also of a source without pixels yet; UNSUPPORTED beyond the device's limits.
 * What the platform itself throws, as of a picture from another origin, comes as it is.
 */
export function imageToTensor(device: GPUDevice, source: ImageSource, options: ImageToTensorOptions = {}): GpuTensor {
  checkDevice(device);
  optionsOf(options, [...toTensorOptionNames.filter((name) => name !== 'encoder'), 'colorSpace']);
  const { colorSpace = 'srgb', ...rest } = options;
  const { width, height } = sizeOf(source);
  checkPicture(device, { width, height });
  const texture = device.createTexture({
    label: 'image',
    size: [width, height],
    format: 'rgba8unorm',
    usage: GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.COPY_DST | GPUTextureUsage.RENDER_ATTACHMENT,
  });
  try {
    device.queue.copyExternalImageToTexture({ source }, { texture, colorSpace }, [width, height]);
    return textureToTensor(device, texture, rest);
  } finally {
    // Submitted work keeps the texture's memory until it is done.
    texture.destroy();
  }
}

/** A source's own size in pixels. */
function sizeOf(source: unknown): { width: number; height: number } {
  if (typeof source !== 'object' || source === null) throw invalid('source', source, 'it must have pixels');
  // A video, a frame, an <img>, and everything else.
  const { videoWidth, videoHeight, displayWidth, displayHeight, naturalWidth, naturalHeight, width, height } =
    source as Readonly<Record<string, unknown>>;
  const size = {
    width: videoWidth ?? displayWidth ?? naturalWidth ?? width,
    height: videoHeight ?? displayHeight ?? naturalHeight ?? height,
  };
  if (typeof size.width !== 'number' || typeof size.height !== 'number' || size.width * size.height === 0) {
    throw invalid('source', source, 'it has no pixels, or none yet: wait until it is loaded');
  }
  return size as { width: number; height: number };
}
