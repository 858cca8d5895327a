/** Data of either type as float32, a piece at a time. */
import { bitsOf, fromFloat16, toFloat16, zeros, type HostData } from '../tensors.ts';
import { inSlices } from './slices.ts';

/** Elements that are converted in one step. */
const STEP = 2 ** 15;

/** The values: itself, or expanded. @throws ConvTranspose2dError OUT_OF_MEMORY; the signal's reason */
export async function floatsOf(data: HostData, stop?: AbortSignal): Promise<Float32Array> {
  if (data instanceof Float32Array) return data;
  const bits = bitsOf(data);
  const values = zeros(bits.length);
  await inSlices(
    inSteps(bits.length, (at) => (values[at] = fromFloat16(bits[at]!))),
    stop,
  );
  return values;
}

/** Writes float32 results into data, rounded once where that is float16. @throws the signal's reason */
export async function storeFloats(values: Float32Array, data: HostData, stop: AbortSignal): Promise<void> {
  if (data === values) return;
  const bits = bitsOf(data);
  await inSlices(
    inSteps(bits.length, (at) => (bits[at] = toFloat16(values[at]!))),
    stop,
  );
}

function* inSteps(count: number, convert: (at: number) => void): Generator<void, void> {
  for (let at = 0; at < count; at++) {
    convert(at);
    if (at % STEP === STEP - 1) yield;
  }
}
