/** Pipelines and parameters of the picture shaders, kept per device. */
import imageToTensorCode from '../../shaders/image_to_tensor.wgsl?raw';
import tensorToImageCode from '../../shaders/tensor_to_image.wgsl?raw';
import { ConvTranspose2dError } from '../errors.ts';
import { invalid } from '../invalid.ts';
import type { DType } from '../types.ts';
import { bufferFrom, tensorBytes } from '../webgpu/buffers.ts';
import { compiled, inCallersScopes } from '../webgpu/scopes.ts';
import type { Pixels } from './options.ts';

/** Invocations of a workgroup of `image_to_tensor.wgsl`. */
export const WORKGROUP_SIZE = 64;

interface DeviceCache {
  readonly pipelines: Map<string, GPUComputePipeline | GPURenderPipeline>;
  readonly params: Map<string, GPUBuffer>;
}
const caches = new WeakMap<GPUDevice, DeviceCache>();

function cacheOf(device: GPUDevice): DeviceCache {
  let cache = caches.get(device);
  if (cache === undefined) caches.set(device, (cache = { pipelines: new Map(), params: new Map() }));
  return cache;
}

/** Runs a segment whose errors go to the caller's scopes. What it made is not kept for the next one if it is invalid. */
export function inSegment<T>(device: GPUDevice, segment: () => T): T {
  return inCallersScopes(device, segment, (made) => {
    const { params } = cacheOf(device);
    for (const [key, buffer] of params) if (made.has(buffer)) params.delete(key);
  });
}

/** The pipeline of a key, compiled on first use. */
function pipeline<P extends GPUComputePipeline | GPURenderPipeline>(device: GPUDevice, key: string, make: () => P): P {
  const { pipelines } = cacheOf(device);
  const known = pipelines.get(key) as P | undefined;
  if (known !== undefined) return known;
  const made = make();
  pipelines.set(key, made);
  compiled(made, () => {
    if (pipelines.get(key) === made) pipelines.delete(key);
  });
  return made;
}

/** Texture → tensor. */
export function toTensorPipeline(device: GPUDevice, halves: boolean): GPUComputePipeline {
  return pipeline(device, `tensor ${halves}`, () =>
    device.createComputePipeline({
      label: 'image to tensor',
      layout: 'auto',
      compute: {
        module: device.createShaderModule({ label: 'image to tensor', code: imageToTensorCode }),
        entryPoint: 'main',
        constants: { WORKGROUP_SIZE, HALVES: Number(halves) },
      },
    }),
  );
}

/** Tensor → texture of that format. */
export function toTexturePipeline(
  device: GPUDevice,
  format: GPUTextureFormat,
  halves: boolean,
  premultiplied: boolean,
): GPURenderPipeline {
  return pipeline(device, `${format} ${halves} ${premultiplied}`, () => {
    const module = device.createShaderModule({ label: 'tensor to image', code: tensorToImageCode });
    return device.createRenderPipeline({
      label: 'tensor to image',
      layout: 'auto',
      vertex: { module, entryPoint: 'cover' },
      fragment: {
        module,
        entryPoint: 'color',
        constants: { HALVES: Number(halves), PREMULTIPLIED: Number(premultiplied) },
        targets: [{ format }],
      },
    });
  });
}

/** The bytes of the shaders' `Params`. */
export function paramBytes(pixels: Pixels): ArrayBuffer {
  const bytes = new ArrayBuffer(64);
  new Float32Array(bytes).set([...pixels.mean, ...pixels.deviation]);
  const { height, width, channels, channelStride, rowStride, columnStride, base } = pixels;
  new Uint32Array(bytes).set([height, width, channels, channelStride, rowStride, columnStride, base], 8);
  return bytes;
}

/** How many sets of parameters are kept for a device. */
const MOST_PARAMS = 64;

/** A buffer with the shaders' `Params`: never written again, so that calls may be recorded in any order. */
export function paramsBuffer(device: GPUDevice, pixels: Pixels): GPUBuffer {
  const { params } = cacheOf(device);
  const key = Object.values(pixels).join(' ');
  const known = params.get(key);
  if (known !== undefined) return known;
  const buffer = bufferFrom(device, 'image params', GPUBufferUsage.UNIFORM, new Uint8Array(paramBytes(pixels)));
  // The old ones are not destroyed: recorded work that reads them may not be submitted yet.
  if (params.size >= MOST_PARAMS) params.clear();
  params.set(key, buffer);
  return buffer;
}

/** The usage flags of textures, in the order of their bits. */
const USAGES = ['COPY_SRC', 'COPY_DST', 'TEXTURE_BINDING', 'STORAGE_BINDING', 'RENDER_ATTACHMENT'] as const;

/** Refuses what is not a texture of one picture, or lacks a usage. */
export function checkTexture(texture: unknown, flag: 'TEXTURE_BINDING' | 'RENDER_ATTACHMENT'): void {
  if (typeof texture !== 'object' || texture === null || !('depthOrArrayLayers' in texture)) {
    throw invalid('texture', texture, 'it must be a GPUTexture');
  }
  const { dimension, depthOrArrayLayers: layers, sampleCount, usage } = texture as GPUTexture;
  if (dimension !== '2d') throw invalid('texture dimension', dimension, "it must be '2d'");
  if (layers !== 1) throw invalid('texture depthOrArrayLayers', layers, 'it must be 1: a single picture');
  if (sampleCount !== 1) throw invalid('texture sampleCount', sampleCount, 'it must be 1');
  if ((usage & (1 << USAGES.indexOf(flag))) !== 0) return;
  const given = USAGES.filter((_, bit) => (usage & (1 << bit)) !== 0);
  throw invalid('texture usage', given.join(' | '), `it must include ${flag}`);
}

/** Refuses a tensor that the device cannot bind as a whole. @throws ConvTranspose2dError UNSUPPORTED */
export function checkBinds(device: GPUDevice, shape: readonly number[], dtype: DType): void {
  const size = tensorBytes(shape, dtype);
  const { maxStorageBufferBindingSize: most } = device.limits;
  if (size > most) {
    throw new ConvTranspose2dError('UNSUPPORTED', `the tensor takes ${size} bytes, the device binds ${most} at most`);
  }
}

/** Refuses a picture that no texture of the device holds. @throws ConvTranspose2dError UNSUPPORTED */
export function checkPicture(device: GPUDevice, { width, height }: { width: number; height: number }): void {
  const most = device.limits.maxTextureDimension2D;
  if (Math.max(width, height) > most) {
    throw new ConvTranspose2dError('UNSUPPORTED', `the picture is ${width} × ${height}, the device allows ${most}`);
  }
}

/** Records into the caller's encoder, or into one that is submitted at once. */
export function record(
  device: GPUDevice,
  encoder: GPUCommandEncoder | undefined,
  commands: (encoder: GPUCommandEncoder) => void,
): void {
  if (encoder !== undefined) {
    commands(encoder);
    return;
  }
  const own = device.createCommandEncoder({ label: 'image' });
  commands(own);
  device.queue.submit([own.finish()]);
}
