/** The layer in one call, and the shape that it gives. */
import { checkHostTensor } from './check-tensors.ts';
import { ConvTranspose2d } from './conv-transpose2d.ts';
import { resolveOptions, shapeOfOutput, splitCall, weightExtents } from './options.ts';
import { dtypeOf } from './tensors.ts';
import type { Call, ConvTranspose2dOptions, HostTensor } from './types.ts';

/**
 * The shape that `convTranspose2d` gives for an input's, (N, C, H, W) or (C, H, W), and a weight's, (I, O, H, W), or those in
 * the layouts that the options say.
 * @throws ConvTranspose2dError INVALID_ARGUMENT
 */
export function outputShape(
  inputShape: readonly number[],
  weightShape: readonly number[],
  options?: ConvTranspose2dOptions,
): number[] {
  const { layer } = splitCall(options);
  const { inChannels, outChannels, kernelSize } = weightExtents(weightShape, layer['weightLayout'], layer['groups']);
  const { spec } = resolveOptions(inChannels, outChannels, kernelSize, layer);
  return shapeOfOutput(spec, inputShape, undefined);
}

/**
 * One transposed convolution, host in and host out: input (N, C, H, W) or (C, H, W), weight (I, O, H, W) and bias (all
 * output channels), each in the layout that the options say. Makes a layer, calls it, and lets it go.
 * @throws ConvTranspose2dError; the signal's reason when aborted
 */
export async function convTranspose2d(
  input: HostTensor,
  weight: HostTensor,
  bias?: HostTensor | null,
  options?: ConvTranspose2dOptions & Call,
): Promise<HostTensor> {
  const { layer: layerOptions, call } = splitCall(options);
  checkHostTensor('weight', weight, undefined);
  const { inChannels, outChannels, kernelSize } = weightExtents(
    weight.shape,
    layerOptions['weightLayout'],
    layerOptions['groups'],
  );
  const hasBias = bias !== undefined && bias !== null;
  const layer = new ConvTranspose2d(inChannels, outChannels, kernelSize, {
    ...layerOptions,
    bias: hasBias,
    dtype: dtypeOf(weight),
  });
  try {
    layer.loadStateDict(hasBias ? { weight, bias } : { weight });
    return await layer.forward(input, call);
  } finally {
    layer.destroy();
  }
}
