/** What sequences are played with, and what is right: tensors of small integers, and what the reference makes of them. */
import type { Call, HostTensor, StateDict } from '../../src/index.ts';
import type { Kind } from './sequence-acts.ts';
import { integerTensor, valuesOf, type Shape } from './tensors.ts';
import { mismatch } from './tolerance.ts';

const MOST = 3;
const isLast = ({ options }: Kind): boolean => options.layout === 'NHWC';

/** One of four inputs: without a batch, of a batch of 1 and 0, and a larger one of 2. */
export function inputOf(kind: Kind, ins: number, nth: number, image: Shape = nth < 3 ? [3, 4] : [9, 5]): HostTensor {
  const batch = [[], [1], [0], [2]][nth]!;
  const shape = isLast(kind) ? [...batch, ...image, ins] : [...batch, ins, ...image];
  return integerTensor(shape, nth, MOST, kind.dtype);
}

/** A size of as many rows as the stride allows beyond the usual ones. */
export function largerSize(kind: Kind, outputShape: Shape): [number, number] {
  const [height, width] = outputShape.slice(isLast(kind) ? -3 : -2);
  const { stride } = kind.options;
  return [height! + (typeof stride === 'number' ? stride - 1 : 0), width!];
}

export function stateOf({ dtype, options }: Kind, ins: number, outs: number, seed: number): StateDict {
  const { weightLayout = 'IOHW', groups = 1 } = options;
  const extents = { I: ins, O: outs / groups, H: 3, W: 2 };
  const shape = Array.from(weightLayout, (axis) => extents[axis as keyof typeof extents]);
  return { weight: integerTensor(shape, 10 + seed, MOST, dtype), bias: integerTensor([outs], 20 + seed, MOST, dtype) };
}

/** What is wrong with an output, in words. */
export function wrongOutput(
  { options, dtype }: Kind,
  input: HostTensor,
  { outputSize }: Call,
  state: StateDict,
  output: HostTensor,
): string | undefined {
  const sized = { ...options, ...(outputSize && { outputSize }) };
  return mismatch(output, { input, ...state, options: sized }, { lane: 'exact', output: dtype });
}

const text = ({ weight, bias }: StateDict): string =>
  [weight, bias!].map((tensor) => `${tensor.shape.join()}: ${valuesOf(tensor).join()}`).join();

/** What is wrong with a layer's parameters, in words. */
export const otherState = (got: StateDict, wanted: StateDict): string | undefined =>
  text(got) === text(wanted) ? undefined : 'other parameters';

export const copied = (tensor: HostTensor): HostTensor & { data: Float32Array } => ({
  ...tensor,
  data: (tensor.data as Float32Array).slice(),
});

/** float16 by its bits, as inputs are here; it comes from a GPU as the platform has it. */
export function withBits({ shape, data, dtype }: HostTensor): HostTensor {
  if (dtype !== 'float16') return { shape, data };
  return { shape, data: new Uint16Array(data.buffer, data.byteOffset, data.length), dtype };
}
