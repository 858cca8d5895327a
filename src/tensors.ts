/** Host tensors: allocation, float16 conversion, and results of the same array type as the input. */
import { ConvTranspose2dError } from './errors.ts';
import type { DType, Float16ArrayLike, HostTensor } from './types.ts';

export type HostData = HostTensor['data'];

export const bytesPerElement = (dtype: DType): number => (dtype === 'float16' ? 2 : 4);

/** The product of the extents. Beyond 2⁵³ it is rounded, which no comparison with a size that exists can notice. */
export function elementCount(shape: readonly number[]): number {
  // Not left to the product: Infinity · 0 would be NaN, which passes every comparison with a limit.
  return shape.includes(0) ? 0 : shape.reduce((product, extent) => product * extent, 1);
}

/** The dtype of a tensor that was checked. */
export function dtypeOf(tensor: HostTensor): DType {
  return tensor.data instanceof Float32Array ? 'float32' : 'float16';
}

/** The bytes of a tensor's data, for a copy. */
export function bytesOf(data: HostData): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** Its elements' bit patterns, if they are float16. */
export function bitsOf(data: HostData): Uint16Array {
  return new Uint16Array(data.buffer, data.byteOffset, data.length);
}

/** A tensor over `bytes` in the same form as `like`: the same kind of array, the same use of `dtype`. */
export function hostTensorLike(like: HostTensor, asked: readonly number[], bytes: ArrayBuffer): HostTensor {
  const [shape, count] = [[...asked], elementCount(asked)];
  if (like.data instanceof Float32Array) return { shape, data: new Float32Array(bytes, 0, count) };
  if (like.data instanceof Uint16Array) return { shape, data: new Uint16Array(bytes, 0, count), dtype: 'float16' };
  const Form = like.data.constructor as new (buffer: ArrayBuffer, offset: number, length: number) => Float16ArrayLike;
  return { shape, data: new Form(bytes, 0, count), dtype: 'float16' };
}

/** A float16 tensor over `bytes`: a `Float16Array` where the platform has it, else a `Uint16Array`. */
export function float16Tensor(shape: readonly number[], bytes: ArrayBuffer): HostTensor {
  const Form = (
    globalThis as { Float16Array?: new (buffer: ArrayBuffer, offset: number, length: number) => Float16ArrayLike }
  ).Float16Array;
  const count = elementCount(shape);
  const data = Form === undefined ? new Uint16Array(bytes, 0, count) : new Form(bytes, 0, count);
  return { shape, data, dtype: 'float16' };
}

/** An ArrayBuffer of that many bytes. @throws ConvTranspose2dError OUT_OF_MEMORY */
export function allocate(bytes: number): ArrayBuffer {
  try {
    return new ArrayBuffer(bytes);
  } catch (cause) {
    throw new ConvTranspose2dError('OUT_OF_MEMORY', `could not allocate ${bytes} bytes`, { cause });
  }
}

/** So many float32. @throws ConvTranspose2dError OUT_OF_MEMORY */
export const zeros = (elements: number): Float32Array<ArrayBuffer> => new Float32Array(allocate(4 * elements));

const scratch = new DataView(new ArrayBuffer(4));

/** The value of a float16 bit pattern. */
export function fromFloat16(bits: number): number {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 31;
  const fraction = bits & 1023;
  if (exponent === 31) return fraction === 0 ? sign * Infinity : NaN;
  return sign * (exponent === 0 ? fraction * 2 ** -24 : (1024 + fraction) * (1 << exponent) * 2 ** -25);
}

/** The float16 bit pattern nearest to a float32 value, ties to even. */
export function toFloat16(value: number): number {
  scratch.setFloat32(0, value);
  const bits = scratch.getUint32(0);
  const sign = (bits >>> 16) & 0x8000;
  const magnitude = bits & 0x7fffffff;
  if (magnitude > 0x7f800000) return sign | 0x7e00;
  if (magnitude >= 0x477ff000) return sign | 0x7c00;
  // Below 2⁻¹⁴ the spacing is 2⁻²⁴: adding 0.5 to the magnitude rounds to it, since float32 around 0.5 has that spacing.
  if (magnitude < 0x38800000) {
    scratch.setFloat32(0, Math.abs(value) + 0.5);
    return sign | (scratch.getUint32(0) - 0x3f000000);
  }
  return sign | ((magnitude - 0x38000000 + 0xfff + ((magnitude >>> 13) & 1)) >>> 13);
}

/** Values as a tensor of that dtype, rounded once where it is float16. @throws ConvTranspose2dError OUT_OF_MEMORY */
export function tensorOf(shape: readonly number[], values: Float32Array, dtype: DType): HostTensor {
  if (dtype === 'float32') return { shape, data: values };
  const rounded = float16Tensor(shape, allocate(2 * values.length));
  storeFloat32(values, rounded.data);
  return rounded;
}

/** The data as float32: itself, or expanded. */
export function toFloat32Array(tensor: HostTensor): Float32Array {
  const { data } = tensor;
  if (data instanceof Float32Array) return data;
  const bits = bitsOf(data);
  // A loop: from() with a function takes over twenty times as long.
  const values = zeros(bits.length);
  for (let i = 0; i < bits.length; i++) values[i] = fromFloat16(bits[i]!);
  return values;
}

/** Writes float32 results into a tensor's data, rounded once where it is float16. */
export function storeFloat32(values: Float32Array, data: HostData): void {
  if (data instanceof Float32Array) {
    if (data !== values) data.set(values);
    return;
  }
  const bits = bitsOf(data);
  for (let i = 0; i < bits.length; i++) bits[i] = toFloat16(values[i] ?? NaN);
}
