import { ConvTranspose2d, download, requestDevice, upload } from 'webgpu-conv-transpose2d';
import { create, globals } from 'webgpu';

// Node then has what a browser has. Dawn must not be collected while its devices live: a global never is.
Object.assign(globalThis, globals);
Object.defineProperty(globalThis, 'navigator', { value: { gpu: create([]) }, configurable: true });

const device = await requestDevice({ allowSoftware: true, onFallback: console.warn });
const layer = new ConvTranspose2d(8, 4, 3, { stride: 2, padding: 1, outputPadding: 1, seed: 1, device });
const input = { shape: [1, 8, 16, 16], data: Float32Array.from({ length: 2048 }, (_, i) => (i % 7) - 3) };

const output = await layer.forward(input);
console.log(layer.plan(input.shape).device, output.shape); // 'webgpu' [1, 4, 32, 32]

if (device !== 'cpu') {
  // The same with tensors that stay on the GPU.
  const encoder = device.createCommandEncoder();
  const onGpu = layer.encode(encoder, upload(device, input));
  device.queue.submit([encoder.finish()]);
  const same = await download(device, onGpu);
  console.log(same.shape, same.data[0] === output.data[0]); // [1, 4, 32, 32] true
  device.destroy();
}
