// In a dedicated worker: a device of its own, and a page's canvas.
import { bilinearWeight, ConvTranspose2d, requestDevice } from 'webgpu-conv-transpose2d';
import { imageToTensor, tensorToCanvas } from 'webgpu-conv-transpose2d/image';

/** What the page sends. */
export interface Job {
  readonly canvas: OffscreenCanvas;
  readonly picture: ImageBitmap;
}

async function show({ canvas, picture }: Job): Promise<void> {
  // A canvas needs a GPU; one in software will do.
  const device = await requestDevice({ fallback: 'throw', allowSoftware: true });
  if (device === 'cpu') return;
  const layer = new ConvTranspose2d(3, 3, 4, { stride: 2, padding: 1, groups: 3, bias: false, device });
  layer.loadStateDict({ weight: bilinearWeight(3, 4) });

  const input = imageToTensor(device, picture);
  await layer.prepare(input.shape);
  const encoder = device.createCommandEncoder();
  tensorToCanvas(device, layer.encode(encoder, input), canvas, { encoder });
  device.queue.submit([encoder.finish()]);
  await device.queue.onSubmittedWorkDone();
}

addEventListener('message', ({ data }: MessageEvent<Job>) => {
  show(data).then(
    () => {
      postMessage('shown');
    },
    (error: unknown) => {
      postMessage(String(error));
    },
  );
});
