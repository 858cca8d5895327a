/** Checks of the tensors that callers pass in. */
import { has, invalid, shown } from './invalid.ts';
import { elementCount } from './tensors.ts';
import type { DType, Float16ArrayLike, GpuTensor, HostTensor } from './types.ts';

const isFloat16Array = (data: unknown): data is Float16ArrayLike =>
  (data as Partial<Float16ArrayLike> | null | undefined)?.[Symbol.toStringTag] === 'Float16Array';

/** Checks that a value is a host tensor of the shape and dtype that is asked for; `name` is what a message calls it. */
export function checkHostTensor(
  name: string,
  tensor: unknown,
  shape: readonly number[] | undefined,
  dtype?: DType,
): HostTensor {
  if (!has(tensor, 'shape') || !has(tensor, 'data')) {
    const hint = isGpu(tensor) ? '; one on the GPU is for encode, or to download first' : '';
    throw invalid(name, tensor, `it must be a tensor { shape, data }${hint}`);
  }
  const { data, dtype: said }: { data: unknown; dtype?: unknown } = tensor;
  const given = checkShapeAndDType(name, tensor, shape);
  const isFloat16 = isFloat16Array(data) || (data instanceof Uint16Array && said === 'float16');
  if (!isFloat16 && !(data instanceof Float32Array)) {
    const rule = "it must be a Float32Array, a Float16Array, or a Uint16Array with dtype 'float16'";
    throw invalid(`${name} data`, data, rule);
  }
  const held = isFloat16 ? 'float16' : 'float32';
  if (said !== undefined && said !== held) throw invalid(`${name} dtype`, said, `its data is ${held}`);
  checkDType(name, held, dtype);
  if (data.length !== elementCount(given)) {
    throw invalid(`${name} data`, data, `shape ${shown(given)} takes ${elementCount(given)} elements`);
  }
  return tensor as HostTensor;
}

/** Whether a value is meant as a tensor on a GPU: arrays have a `buffer` too. */
export const isGpu = (tensor: unknown): tensor is GpuTensor => has(tensor, 'buffer') && !ArrayBuffer.isView(tensor);

/** Checks a tensor's shape, against the one `asked` for if there is one, and that its dtype is known; returns the shape. */
export function checkShapeAndDType(
  name: string,
  { shape, dtype }: { shape?: unknown; dtype?: unknown },
  asked: readonly number[] | undefined,
): number[] {
  if (!isShape(shape)) throw invalid(`${name} shape`, shape, 'it must be an array of integers of at least 0');
  if (asked !== undefined && !sameShape(shape, asked)) {
    throw invalid(`${name} shape`, shape, `it must be ${shown(asked)}`);
  }
  if (dtype !== undefined && dtype !== 'float32' && dtype !== 'float16') {
    throw invalid(`${name} dtype`, dtype, "it must be 'float32', 'float16' or left out");
  }
  return shape;
}

// Loops instead of `every`: these run in each `encode`, where closures cost measurably.
function isShape(shape: unknown): shape is number[] {
  if (!Array.isArray(shape)) return false;
  for (const extent of shape as unknown[]) if (!Number.isSafeInteger(extent) || (extent as number) < 0) return false;
  return true;
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  if (a.length !== b.length) return false;
  for (let i = 0; i < a.length; i++) if (a[i] !== b[i]) return false;
  return true;
}

/** Refuses a tensor that is not of the dtype asked for. */
export function checkDType(name: string, held: DType, asked: DType | undefined): void {
  if (asked === undefined || held === asked) return;
  throw invalid(`${name} dtype`, held, `it must be '${asked}', as the layer's and its weight's`);
}

/**
 * To be asked when a call has ended: refuses tensors whose memory went elsewhere meanwhile, for nobody knows how much the call
 * had of them.
 */
export function keeping(tensors: Readonly<Record<string, HostTensor | undefined>>): () => void {
  const held = Object.entries(tensors).flatMap(([name, tensor]) =>
    tensor === undefined ? [] : [{ name, data: tensor.data, length: tensor.data.length }],
  );
  return () => {
    for (const { name, data, length } of held) {
      if (data.length === length) continue;
      throw invalid(`${name} data`, data, 'its memory was transferred or resized before the call had ended');
    }
  };
}
