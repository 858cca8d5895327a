import { bilinearWeight, ConvTranspose2d, type GpuTensor } from 'webgpu-conv-transpose2d';
import { imageToTensor, tensorToCanvas } from 'webgpu-conv-transpose2d/image';

/** Shows a playing video at twice its size, frame by frame, until the signal ends it. No pixel leaves the GPU. */
export async function upsampleVideo(
  device: GPUDevice,
  video: HTMLVideoElement,
  canvas: HTMLCanvasElement | OffscreenCanvas,
  signal: AbortSignal,
): Promise<void> {
  const layer = new ConvTranspose2d(3, 3, 4, { stride: 2, padding: 1, groups: 3, bias: false, device });
  layer.loadStateDict({ weight: bilinearWeight(3, 4) });
  await layer.prepare([1, 3, video.videoHeight, video.videoWidth]);

  let input: GpuTensor | undefined;
  let output: GpuTensor | undefined;
  const showFrame = (): void => {
    input = imageToTensor(device, video, { output: input });
    const encoder = device.createCommandEncoder();
    output = layer.encode(encoder, input, output);
    tensorToCanvas(device, output, canvas, { encoder });
    device.queue.submit([encoder.finish()]);
  };
  while (!signal.aborted) {
    await new Promise((resolve) => video.requestVideoFrameCallback(resolve));
    showFrame();
  }
  input?.buffer.destroy();
  output?.buffer.destroy();
  layer.destroy();
}
