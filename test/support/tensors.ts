/** Host tensors with data for tests: small integers, floats, float16. */
import type { DType, HostTensor } from '../../src/types.ts';

export type Shape = readonly number[];

export function lengthOf(shape: Shape): number {
  return shape.reduce((product, size) => product * size, 1);
}

/** A tensor of these numbers, each rounded once to the dtype; float16 as bit patterns. */
export function tensorOf(shape: Shape, numbers: ArrayLike<number>, dtype: DType = 'float32'): HostTensor {
  if (dtype === 'float32') return { shape, data: Float32Array.from(numbers) };
  return { shape, data: Uint16Array.from(numbers, float16Bits), dtype };
}

/** Integers from -most to most, the same for the same seed. */
export function integerTensor(shape: Shape, seed: number, most = 4, dtype: DType = 'float32'): HostTensor {
  const next = randomFrom(seed);
  const numbers = Array.from({ length: lengthOf(shape) }, () => Math.floor(next() * (2 * most + 1)) - most);
  return tensorOf(shape, numbers, dtype);
}

/** Numbers from -1 to 1, the same for the same seed. */
export function floatTensor(shape: Shape, seed: number, dtype: DType = 'float32'): HostTensor {
  const next = randomFrom(seed);
  return tensorOf(
    shape,
    Array.from({ length: lengthOf(shape) }, () => 2 * next() - 1),
    dtype,
  );
}

/** A tensor's values, float16 decoded. */
export function valuesOf({ data }: HostTensor): Float64Array {
  return data instanceof Uint16Array ? Float64Array.from(data, float16Value) : Float64Array.from(data);
}

/** The same tensor with some of its values replaced. */
export function withValues(tensor: HostTensor, values: Readonly<Record<number, number>>): HostTensor {
  const numbers = valuesOf(tensor);
  for (const [at, value] of Object.entries(values)) numbers[Number(at)] = value;
  return tensorOf(tensor.shape, numbers, tensor.data instanceof Float32Array ? 'float32' : 'float16');
}

/** The float16 bit pattern nearest to a number, ties to even. */
export function float16Bits(value: number): number {
  if (Number.isNaN(value)) return 0x7e00;
  const sign = value < 0 || Object.is(value, -0) ? 0x8000 : 0;
  const magnitude = Math.abs(value);
  if (magnitude >= 65520) return sign | 0x7c00;
  const exponent = Math.max(Math.floor(Math.log2(magnitude)), -14);
  const steps = roundToEven(magnitude / 2 ** (exponent - 10));
  return sign | (((exponent + 14) << 10) + steps);
}

export function float16Value(bits: number): number {
  const magnitude = bits & 0x7fff;
  const sign = bits & 0x8000 ? -1 : 1;
  if (magnitude > 0x7c00) return NaN;
  if (magnitude === 0x7c00) return sign * Infinity;
  const exponent = Math.max(magnitude >> 10, 1);
  const steps = magnitude - ((exponent - 1) << 10);
  return sign * steps * 2 ** (exponent - 25);
}

function roundToEven(value: number): number {
  const below = Math.floor(value);
  const rest = value - below;
  return rest > 0.5 || (rest === 0.5 && below % 2 === 1) ? below + 1 : below;
}

/** A small generator, mulberry32: uniform on [0, 1). */
export function randomFrom(seed: number): () => number {
  let state = seed | 0;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  };
}
