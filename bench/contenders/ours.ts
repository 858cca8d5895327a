import { ConvTranspose2d, download, requestDevice, upload, type Device, type GpuTensor } from 'webgpu-conv-transpose2d';
import { optionsOf, type Problem } from '../layer.ts';
import { adapterName, type Contender, type Instance } from './contender.ts';

let gpu: Promise<GPUDevice> | undefined;

/** The device that the WebGPU contender runs on: a software one is taken too, since its peers take it. */
export function gpuDevice(): Promise<GPUDevice> {
  gpu ??= requestDevice({ fallback: 'throw', allowSoftware: true }) as Promise<GPUDevice>;
  return gpu;
}

/** The layer as a user would make it. */
export function makeLayer(problem: Problem, device: Device): ConvTranspose2d {
  const { layer, weight, weightShape } = problem;
  const made = new ConvTranspose2d(layer.input[1], layer.outChannels, layer.kernelSize, {
    ...optionsOf(layer),
    bias: false,
    device,
  });
  made.loadStateDict({ weight: { shape: weightShape, data: weight } });
  return made;
}

async function createWebgpu(problem: Problem): Promise<Instance> {
  const device = await gpuDevice();
  const { layer, outputShape } = problem;
  const made = makeLayer(problem, device);
  await made.prepare(layer.input);
  const input = upload(device, { shape: layer.input, data: problem.input });
  let output: GpuTensor | undefined;
  return {
    async run(times) {
      const encoder = device.createCommandEncoder();
      for (let i = 0; i < times; i++) output = made.encode(encoder, input, output);
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
    },
    async read() {
      if (!output) throw new Error('read before run');
      const { data, shape } = await download(device, output);
      if (shape.join() !== outputShape.join()) throw new Error(`shape [${shape.join(', ')}]`);
      return data as Float32Array;
    },
    async dispose() {
      await device.queue.onSubmittedWorkDone();
      input.buffer.destroy();
      output?.buffer.destroy();
      made.destroy();
    },
  };
}

export const oursWebgpu: Contender = {
  name: 'ours-webgpu',
  settings: ['float32'],
  async adapter() {
    return adapterName((await gpuDevice()).adapterInfo);
  },
  create: createWebgpu,
};
