import * as ort from 'onnxruntime-web/webgpu';
import type { ConvTranspose2d } from 'webgpu-conv-transpose2d';

/** A session that leaves what it computes on the GPU. The first one makes the device. */
export async function sessionOnGpu(model: Uint8Array): Promise<ort.InferenceSession> {
  return ort.InferenceSession.create(model, {
    executionProviders: ['webgpu'],
    preferredOutputLocation: 'gpu-buffer',
  });
}

// #region between
/** A model's first output through a layer of ours, on ONNX Runtime's device, into another model: nothing leaves the GPU. */
export async function runBetween(
  first: ort.InferenceSession,
  layer: ConvTranspose2d, // made with { device: await ort.env.webgpu.device }
  second: ort.InferenceSession,
  feeds: Record<string, ort.Tensor>,
  weights: Record<string, ort.Tensor> = {},
): Promise<ort.InferenceSession.ReturnType> {
  const device = await ort.env.webgpu.device;
  const features = (await first.run(feeds))[first.outputNames[0]!]!;

  const encoder = device.createCommandEncoder();
  const { buffer, shape } = layer.encode(encoder, { shape: [...features.dims], buffer: features.gpuBuffer });
  device.queue.submit([encoder.finish()]);
  features.dispose();

  const dispose = (): void => {
    buffer.destroy();
  };
  const between = ort.Tensor.fromGpuBuffer(buffer, { dataType: 'float32', dims: shape, dispose });
  const results = await second.run({ ...weights, [second.inputNames[0]!]: between });
  between.dispose();
  return results;
}
// #endregion between
