import { ConvTranspose2d } from 'webgpu-conv-transpose2d';

// torch.nn.ConvTranspose2d(16, 3, 4, stride=2, padding=1)
const layer = new ConvTranspose2d(16, 3, 4, { stride: 2, padding: 1 });
const weight = { shape: [16, 3, 4, 4], data: new Float32Array(16 * 3 * 4 * 4).fill(0.25) }; // in, out, height, width
layer.loadStateDict({ weight, bias: { shape: [3], data: new Float32Array(3) } });

const input = { shape: [1, 16, 64, 64], data: new Float32Array(16 * 64 * 64).fill(1) };
const output = await layer.forward(input); // on the GPU; on the CPU where there is none
console.log(output.shape, layer.plan(input.shape).kernel); // [1, 3, 128, 128] and what computed it
layer.destroy();
