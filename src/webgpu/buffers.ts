/** Tensors in GPU buffers. */
import { ConvTranspose2dError } from '../errors.ts';
import { has, invalid, shown } from '../invalid.ts';
import { allocate, bytesOf, bytesPerElement, dtypeOf, elementCount, float16Tensor } from '../tensors.ts';
import { checkDType, checkHostTensor, checkShapeAndDType } from '../check-tensors.ts';
import { TEXELS_IN_LINE, textureLines, textureSize } from '../texels.ts';
import type { DType, GpuTensor, HostTensor } from '../types.ts';
import { TEXEL_FORMAT } from './pipelines.ts';
import { inScopes, lossBehind, lossOf, makeBuffer, makeTexture } from './scopes.ts';

/** Bytes that a tensor's binding takes: whole words. */
export const tensorBytes = (shape: readonly number[], dtype: DType): number =>
  Math.ceil((elementCount(shape) * bytesPerElement(dtype)) / 4) * 4;

export const bindingOf = ({ shape, buffer, dtype, offset }: Required<GpuTensor>): GPUBufferBinding => ({
  ...{ buffer, offset, size: tensorBytes(shape, dtype) },
});

/** Whether two tensors have bytes in common. */
export const overlap = (a: Required<GpuTensor>, b: Required<GpuTensor>): boolean =>
  a.buffer === b.buffer &&
  a.offset < b.offset + tensorBytes(b.shape, b.dtype) &&
  b.offset < a.offset + tensorBytes(a.shape, a.dtype);

/** The usage of tensors that callers get. */
const tensorUsage = (): number => GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;

/** A buffer with a tensor's values in it; of at least one word, so that it can be bound. */
export function bufferFrom(device: GPUDevice, label: string, usage: number, bytes: Uint8Array): GPUBuffer {
  const size = Math.max(4, Math.ceil(bytes.byteLength / 4) * 4);
  let buffer: GPUBuffer;
  try {
    buffer = makeBuffer(device, { label, size, usage, mappedAtCreation: true });
  } catch (cause) {
    // Error scopes do not report it if the page itself has no memory for the mapping.
    if (!(cause instanceof RangeError)) throw cause;
    throw new ConvTranspose2dError('OUT_OF_MEMORY', `could not allocate ${size} bytes`, { cause });
  }
  const mapped = mappedRange(buffer);
  if (mapped === undefined) return buffer;
  new Uint8Array(mapped).set(bytes);
  buffer.unmap();
  return buffer;
}

/** A buffer that a shader reads its Params and tables from. */
export const tableFrom = (device: GPUDevice, label: string, words: ArrayBuffer): GPUBuffer =>
  bufferFrom(device, label, GPUBufferUsage.UNIFORM | GPUBufferUsage.STORAGE, new Uint8Array(words));

/** A texture for that many texels, in whole lines, which shaders or copies can write. */
export const makeTexels = (device: GPUDevice, label: string, texels: number): GPUTexture =>
  makeTexture(device, {
    label,
    size: [TEXELS_IN_LINE, textureLines(texels)],
    format: TEXEL_FORMAT,
    usage: GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.STORAGE_BINDING | GPUTextureUsage.COPY_DST,
  });

/** Writes the first texels of such a texture: whole lines, or the beginning of one. */
export function writeTexels(device: GPUDevice, texture: GPUTexture, values: Float32Array): void {
  device.queue.writeTexture({ texture }, values, { bytesPerRow: 16 * TEXELS_IN_LINE }, textureSize(values.length / 4));
}

/** The memory of a buffer that is mapped at creation; undefined for an invalid one in wgpu, whose error the scope reports. */
function mappedRange(buffer: GPUBuffer): ArrayBuffer | undefined {
  try {
    return buffer.getMappedRange();
  } catch (error) {
    if ((error as Error).name === 'OperationError') return undefined;
    throw error;
  }
}

/** Refuses a tensor beyond the device's limit on buffers, or another limit. */
export function checkFits(
  device: GPUDevice,
  name: string,
  bytes: number,
  most: number = device.limits.maxBufferSize,
): void {
  if (bytes <= most) return;
  throw new ConvTranspose2dError('UNSUPPORTED', `${name} takes ${bytes} bytes, the device allows ${most}`);
}

/** Refuses what is no encoder. */
export function checkEncoder(encoder: unknown): void {
  // Not by `has`, here and below: `encode` checks in every call, and a property test with a variable name is slower.
  if (typeof encoder !== 'object' || encoder === null || !('beginComputePass' in encoder)) {
    throw invalid('encoder', encoder, 'it must be a GPUCommandEncoder');
  }
}

/** Refuses what is no device. */
export function checkDevice(device: unknown): void {
  if (!has(device, 'queue')) throw invalid('device', device, 'it must be a GPUDevice');
}

/**
 * Copies a tensor into a new buffer of that device, with usage STORAGE | COPY_SRC | COPY_DST. The buffer is the caller's.
 * @throws ConvTranspose2dError INVALID_ARGUMENT; UNSUPPORTED beyond the device's `maxBufferSize`; OUT_OF_MEMORY where the page has
 * no room for the copy. What the GPU has no room for is reported to your error scopes.
 */
export function upload(device: GPUDevice, tensor: HostTensor): GpuTensor {
  checkDevice(device);
  const { shape, data } = checkHostTensor('tensor', tensor, undefined);
  checkFits(device, 'the tensor', data.byteLength);
  const buffer = bufferFrom(device, `conv-transpose2d tensor ${shape.join('×')}`, tensorUsage(), bytesOf(data));
  return { shape: [...shape], buffer, dtype: dtypeOf(tensor) };
}

/** A tensor in a new buffer, its values unset. */
export function emptyTensor(device: GPUDevice, shape: readonly number[], dtype: DType): Required<GpuTensor> {
  const size = Math.max(4, tensorBytes(shape, dtype));
  checkFits(device, 'the output', size);
  const label = `conv-transpose2d tensor ${shape.join('×')}`;
  const buffer = makeBuffer(device, { label, size, usage: tensorUsage() });
  return { shape, buffer, dtype, offset: 0 };
}

/**
 * Copies a tensor of that device into memory, after all work submitted so far. Its buffer's usage includes COPY_SRC. float16 comes
 * as `Float16Array`, or as `Uint16Array` where the platform has none.
 * @throws ConvTranspose2dError INVALID_ARGUMENT, GPU_ERROR, OUT_OF_MEMORY or DEVICE_LOST
 */
export async function download(device: GPUDevice, tensor: GpuTensor): Promise<HostTensor> {
  checkDevice(device);
  const { buffer, offset, dtype, shape: given } = checkGpuTensor(device, 'tensor', tensor, undefined, undefined);
  // A copy: the caller's may change during the call.
  const shape = [...given];
  const size = tensorBytes(shape, dtype);
  if (size === 0) return hostTensor(shape, dtype, new ArrayBuffer(0));
  checkUsage('tensor', buffer, 'COPY_SRC', 'downloaded');
  const reading = await inScopes(device, () => {
    const encoder = device.createCommandEncoder({ label: 'conv-transpose2d download' });
    const staging = stage(device, encoder, buffer, offset, size);
    return submitReading(device, encoder, [staging]);
  });
  const [bytes] = await read(device, reading);
  return hostTensor(shape, dtype, bytes!);
}

const hostTensor = (shape: readonly number[], dtype: DType, bytes: ArrayBuffer): HostTensor =>
  dtype === 'float32' ? { shape, data: new Float32Array(bytes) } : float16Tensor(shape, bytes);

/** Records a copy of part of a buffer into a new one that can be mapped. */
export function stage(
  device: GPUDevice,
  encoder: GPUCommandEncoder,
  buffer: GPUBuffer,
  offset: number,
  size: number,
): GPUBuffer {
  const usage = GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST;
  const staging = makeBuffer(device, { label: 'conv-transpose2d readback', size, usage });
  encoder.copyBufferToBuffer(buffer, offset, staging, 0, size);
  return staging;
}

/** A staging buffer that is being mapped. */
interface Reading {
  readonly staging: GPUBuffer;
  readonly mapping: Promise<undefined>;
}

/** Submits an encoder and starts to map what it stages. To be called in a segment: a failed mapping is also an error of the device. */
export function submitReading(
  device: GPUDevice,
  encoder: GPUCommandEncoder,
  staged: readonly GPUBuffer[],
): readonly Reading[] {
  device.queue.submit([encoder.finish()]);
  return staged.map((staging) => {
    const mapping = staging.mapAsync(GPUMapMode.READ);
    // If the segment fails, nobody awaits it: no unhandled rejection.
    mapping.catch(() => undefined);
    return { staging, mapping };
  });
}

/** Copies out what is being mapped. When it settles, also by rejecting, all staging buffers are destroyed. */
export async function read(
  device: GPUDevice,
  readings: readonly Reading[],
  signal?: AbortSignal,
): Promise<ArrayBuffer[]> {
  const reads = readings.map((reading) => readOne(device, reading, signal));
  await Promise.allSettled(reads);
  return Promise.all(reads);
}

async function readOne(
  device: GPUDevice,
  { staging, mapping }: Reading,
  signal: AbortSignal | undefined,
): Promise<ArrayBuffer> {
  try {
    await mapping;
    signal?.throwIfAborted();
    const bytes = allocate(staging.size);
    new Uint8Array(bytes).set(new Uint8Array(staging.getMappedRange()));
    // A lost device still maps buffers, but their content is not the result.
    const lost = lossOf(device);
    if (lost !== undefined) throw lost;
    return bytes;
  } catch (cause) {
    if (signal?.aborted === true || cause instanceof ConvTranspose2dError) throw cause;
    const lost = await lossBehind(device);
    throw lost ?? new ConvTranspose2dError('GPU_ERROR', `readback failed: ${String(cause)}`, { cause });
  } finally {
    staging.destroy();
  }
}

/** The usage flags, in the order of their bits. */
const USAGES = [
  'MAP_READ',
  'MAP_WRITE',
  'COPY_SRC',
  'COPY_DST',
  'INDEX',
  'VERTEX',
  'UNIFORM',
  'STORAGE',
  'INDIRECT',
  'QUERY_RESOLVE',
] as const;

/** Refuses a buffer without the usage that is needed. */
export function checkUsage(
  name: string,
  { usage }: GPUBuffer,
  flag: 'STORAGE' | 'COPY_SRC' | 'COPY_DST',
  done: string,
): void {
  if ((usage & (1 << USAGES.indexOf(flag))) !== 0) return;
  const given = USAGES.filter((_, bit) => (usage & (1 << bit)) !== 0);
  throw invalid(`${name} buffer usage`, given.join(' | '), `to be ${done} it must include ${flag}`);
}

const isBuffer = (value: unknown): value is GPUBuffer =>
  typeof value === 'object' && value !== null && 'size' in value && 'usage' in value;

/** Checks a caller's GPU tensor and fills in its defaults. */
export function checkGpuTensor(
  device: GPUDevice,
  name: string,
  tensor: unknown,
  shape: readonly number[] | undefined,
  dtype: DType | undefined,
): Required<GpuTensor> {
  if (typeof tensor !== 'object' || tensor === null || !('buffer' in tensor)) {
    throw invalid(name, tensor, 'it must be a GPU tensor { shape, buffer, dtype?, offset? }, as upload gives');
  }
  const t: { shape?: unknown; buffer: unknown; dtype?: unknown; offset?: unknown } = tensor;
  const given = checkShapeAndDType(name, t, shape);
  const { buffer, dtype: held = 'float32', offset = 0 } = t as GpuTensor;
  checkDType(name, held, dtype);
  if (!isBuffer(buffer)) throw invalid(`${name} buffer`, buffer, 'it must be a GPUBuffer');
  checkUsage(name, buffer, 'STORAGE', 'bound');
  const alignment = device.limits.minStorageBufferOffsetAlignment;
  if (offset !== 0 && !(Number.isSafeInteger(offset) && offset > 0 && offset % alignment === 0)) {
    throw invalid(`${name} offset`, offset, `it must be a multiple of ${alignment} bytes, of at least 0`);
  }
  const needed = offset + tensorBytes(given, held);
  if (buffer.size < needed) {
    const rule = `shape ${shown(given)} from offset ${offset} takes ${needed} bytes`;
    throw invalid(`${name} buffer size`, buffer.size, rule);
  }
  return { shape: given, buffer, dtype: held, offset };
}
