/** Tensors in GPU buffers. */
import { ConvTranspose2dError, invalid, shown } from '../errors.ts';
import {
  allocate,
  bytesOf,
  bytesPerElement,
  checkDType,
  checkHostTensor,
  checkSaid,
  dtypeOf,
  elementCount,
  float16Tensor,
} from '../tensors.ts';
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

/** Of the tensors that are handed to callers. */
const tensorUsage = (): number => GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;

/** A buffer with a tensor's values in it; of at least one word, so that it can be bound. */
export function bufferFrom(device: GPUDevice, label: string, usage: number, bytes: Uint8Array): GPUBuffer {
  const size = Math.max(4, Math.ceil(bytes.byteLength / 4) * 4);
  let buffer: GPUBuffer;
  try {
    buffer = makeBuffer(device, { label, size, usage, mappedAtCreation: true });
  } catch (cause) {
    // What a mapping needs of the page's own memory is no matter of error scopes.
    if (!(cause instanceof RangeError)) throw cause;
    throw new ConvTranspose2dError('OUT_OF_MEMORY', `could not allocate ${size} bytes`, { cause });
  }
  const mapped = mappedRange(buffer);
  if (mapped === undefined) return buffer;
  new Uint8Array(mapped).set(bytes);
  buffer.unmap();
  return buffer;
}

/** What a shader reads its Params and tables from. */
export const tableFrom = (device: GPUDevice, label: string, words: ArrayBuffer): GPUBuffer =>
  bufferFrom(device, label, GPUBufferUsage.UNIFORM | GPUBufferUsage.STORAGE, new Uint8Array(words));

/** A texture that holds so many texels, in whole lines; they are written by shaders, or copied. */
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

/** The memory of a buffer that is mapped at creation; wgpu has none for an invalid one, whose error its scope reports. */
function mappedRange(buffer: GPUBuffer): ArrayBuffer | undefined {
  try {
    return buffer.getMappedRange();
  } catch (error) {
    if ((error as Error).name === 'OperationError') return undefined;
    throw error;
  }
}

/** Refuses a tensor that the device has no buffer, or no binding, for. */
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
  if (typeof encoder !== 'object' || encoder === null || !('beginComputePass' in encoder)) {
    throw invalid('encoder', encoder, 'it must be a GPUCommandEncoder');
  }
}

/** Refuses what is no device. */
export function checkDevice(device: unknown): void {
  if (typeof device !== 'object' || device === null || !('queue' in device)) {
    throw invalid('device', device, 'it must be a GPUDevice');
  }
}

/**
 * Copies a tensor into a new buffer of that device, with usage STORAGE | COPY_SRC | COPY_DST. The buffer is the caller's.
 * @throws ConvTranspose2dError INVALID_ARGUMENT; UNSUPPORTED beyond the device's `maxBufferSize`
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
 * Copies a tensor of that device into memory, after all work submitted so far. Its buffer's usage includes COPY_SRC.
 * @throws ConvTranspose2dError INVALID_ARGUMENT, GPU_ERROR, OUT_OF_MEMORY or DEVICE_LOST
 */
export async function download(device: GPUDevice, tensor: GpuTensor): Promise<HostTensor> {
  checkDevice(device);
  const { buffer, offset, dtype, shape } = checkGpuTensor(device, 'tensor', tensor, undefined, undefined);
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
  dtype === 'float32' ? { shape: [...shape], data: new Float32Array(bytes) } : float16Tensor([...shape], bytes);

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

/** Submits an encoder, and asks for what it stages. Within a segment, for a mapping that fails is an error of the device too. */
export function submitReading(
  device: GPUDevice,
  encoder: GPUCommandEncoder,
  staged: readonly GPUBuffer[],
): readonly Reading[] {
  device.queue.submit([encoder.finish()]);
  return staged.map((staging) => {
    const mapping = staging.mapAsync(GPUMapMode.READ);
    // Where the segment fails, nobody waits for it.
    mapping.catch(() => undefined);
    return { staging, mapping };
  });
}

/** Copies out what was asked for, and has let go of all when it rejects. */
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
    // A lost device maps as if well: what it holds is not to be trusted.
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

function checkOffset(name: string, offset: unknown, alignment: number): asserts offset is number {
  if (typeof offset !== 'number' || !Number.isSafeInteger(offset) || offset < 0 || offset % alignment !== 0) {
    throw invalid(name, offset, `it must be a multiple of ${alignment} bytes, of at least 0`);
  }
}

/** In the order of their bits. */
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

/** Refuses a buffer that cannot be used so. */
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

/** Checks a GPU tensor at the door and completes it. */
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
  const given = checkSaid(name, t, shape);
  const held = (t.dtype ?? 'float32') as DType;
  checkDType(name, held, dtype);
  const { buffer } = t;
  if (typeof buffer !== 'object' || buffer === null || !('size' in buffer) || !('usage' in buffer)) {
    throw invalid(`${name} buffer`, buffer, 'it must be a GPUBuffer');
  }
  const { size } = buffer as GPUBuffer;
  checkUsage(name, buffer as GPUBuffer, 'STORAGE', 'bound');
  const offset = t.offset === undefined ? 0 : t.offset;
  if (offset !== 0) checkOffset(`${name} offset`, offset, device.limits.minStorageBufferOffsetAlignment);
  const needed = offset + tensorBytes(given, held);
  if (size < needed) {
    throw invalid(`${name} buffer size`, size, `shape ${shown(given)} from offset ${offset} takes ${needed} bytes`);
  }
  return { shape: given, buffer: buffer as GPUBuffer, dtype: held, offset };
}
