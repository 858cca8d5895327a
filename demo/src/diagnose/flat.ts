/** What a layer makes of a flat input of ones, away from the borders. */
import { convTranspose2d, type Device } from 'webgpu-conv-transpose2d';
import type { Pattern, Phase, Size } from './phases.ts';

/** Rows and columns that are shown: whole periods of the strides 1 to 4. */
export const WINDOW = 24;

/** How one axis is laid out, so that its window begins with phase 0 and no output in it misses an input. */
function layOut(kernel: number, stride: number, dilation: number): { inputs: number; head: number; tail: number } {
  const extent = dilation * (kernel - 1) + 1;
  const head = Math.ceil((extent - 1) / stride) * stride;
  const inputs = Math.floor((head + WINDOW - 1) / stride) + 1;
  return { inputs, head, tail: (inputs - 1) * stride + extent - head - WINDOW };
}

/**
 * WINDOW × WINDOW outputs, row-major, computed by the layer on that device.
 * @throws ConvTranspose2dError
 */
export async function flatOutput(
  { kernel, stride, dilation }: Pattern,
  weights: readonly number[],
  device: Device,
  signal: AbortSignal,
): Promise<ArrayLike<number>> {
  const rows = layOut(kernel[0], stride[0], dilation[0]);
  const columns = layOut(kernel[1], stride[1], dilation[1]);
  const inputs: Size = [rows.inputs, columns.inputs];
  const { data } = await convTranspose2d(
    { shape: [1, ...inputs], data: new Float32Array(inputs[0] * inputs[1]).fill(1) },
    { shape: [1, 1, ...kernel], data: Float32Array.from(weights) },
    null,
    { stride, dilation, padding: [rows.head, columns.head, rows.tail, columns.tail], device, signal },
  );
  return data;
}

/** The same without a layer: each output is the sum of its phase's weights. */
export function sumsOverFlat({ stride }: Pattern, phases: readonly Phase[]): ArrayLike<number> {
  return Float32Array.from({ length: WINDOW * WINDOW }, (_, at) => {
    const [y, x] = [Math.floor(at / WINDOW) % stride[0], (at % WINDOW) % stride[1]];
    return phases[y * stride[1] + x]!.sum;
  });
}
