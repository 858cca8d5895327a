import { convTranspose2dReference } from 'webgpu-conv-transpose2d/reference';
import { elements, optionsOf, type Problem } from '../layer.ts';

/** What a right result is, for the images that are checked. */
export interface Expected {
  readonly images: readonly { readonly offset: number; readonly data: Float64Array; readonly bound: Float64Array }[];
  readonly maxMagnitude: number;
}

export interface Verdict {
  /** max |difference| / max |reference| */
  readonly maxError: number;
  /** Whether each value is within the rounding of float32 sums: γ_K · Σ|x·w|, K terms. */
  readonly right: boolean;
}

/** The float64 reference of the first and the last image: images don't depend on each other, and a large batch takes minutes. */
export function expect({ layer, input, weight, weightShape, outputShape }: Problem): Expected {
  const [batch, ...imageShape] = layer.input;
  const options = optionsOf(layer);
  const imageLength = elements(imageShape);
  const outputLength = elements(outputShape) / batch;
  const terms = (layer.input[1] / layer.groups) * elements(layer.kernelSize) + 1;
  const gamma = (terms * 2 ** -24) / (1 - terms * 2 ** -24);
  const magnitudes = { shape: weightShape, data: weight.map(Math.abs) };
  const images = [...new Set([0, batch - 1])].map((image) => {
    const data = input.subarray(image * imageLength, (image + 1) * imageLength);
    const shape = [1, ...imageShape];
    const reference = convTranspose2dReference({ shape, data }, { shape: weightShape, data: weight }, null, options);
    const sums = convTranspose2dReference({ shape, data: data.map(Math.abs) }, magnitudes, null, options);
    return { offset: image * outputLength, data: reference.data, bound: sums.data.map((sum) => sum * gamma) };
  });
  let maxMagnitude = 0;
  for (const { data } of images) for (const value of data) maxMagnitude = Math.max(maxMagnitude, Math.abs(value));
  return { images, maxMagnitude };
}

export function check(values: Float32Array, expected: Expected): Verdict {
  let worst = 0;
  let right = true;
  for (const { offset, data, bound } of expected.images) {
    for (let i = 0; i < data.length; i++) {
      const difference = Math.abs((values[offset + i] ?? NaN) - (data[i] ?? NaN));
      if (!(difference <= worst)) worst = difference;
      if (!(difference <= (bound[i] ?? NaN))) right = false;
    }
  }
  return { maxError: worst / expected.maxMagnitude, right };
}
