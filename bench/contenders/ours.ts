import * as library from 'webgpu-conv-transpose2d';
import { optionsOf, type Problem } from '../layer.ts';
import { adapterName, type Contender, type Instance } from './contender.ts';

type Library = Pick<typeof library, 'ConvTranspose2d' | 'download' | 'requestDevice' | 'upload'>;

const devices = new WeakMap<Library, Promise<GPUDevice>>();

/** The device of a contender: a software one is taken too, since the peers take it. */
export function gpuDevice(ours: Library = library): Promise<GPUDevice> {
  let device = devices.get(ours);
  if (!device) {
    device = ours.requestDevice({ fallback: 'throw', allowSoftware: true }) as Promise<GPUDevice>;
    devices.set(ours, device);
  }
  return device;
}

/** The layer as a user would make it. */
export function makeLayer(
  { layer, weight, weightShape }: Problem,
  device: library.Device,
  ours: Library = library,
): library.ConvTranspose2d {
  const made = new ours.ConvTranspose2d(layer.input[1], layer.outChannels, layer.kernelSize, {
    ...optionsOf(layer),
    bias: false,
    device,
  });
  made.loadStateDict({ weight: { shape: weightShape, data: weight } });
  return made;
}

async function create(ours: Library, problem: Problem): Promise<Instance> {
  const device = await gpuDevice(ours);
  const { layer, outputShape } = problem;
  const made = makeLayer(problem, device, ours);
  await made.prepare(layer.input);
  const input = ours.upload(device, { shape: layer.input, data: problem.input });
  let output: library.GpuTensor | undefined;
  return {
    async run(times) {
      const encoder = device.createCommandEncoder();
      for (let i = 0; i < times; i++) output = made.encode(encoder, input, output);
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
    },
    async read() {
      if (!output) throw new Error('read before run');
      const { data, shape } = await ours.download(device, output);
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

/** A build of the library as a contender: tensors stay on the GPU, many calls are recorded into one encoder. */
export const onWebgpu = (name: string, ours: Library): Contender => ({
  name,
  settings: ['float32'],
  async adapter() {
    return adapterName((await gpuDevice(ours)).adapterInfo);
  },
  create: (problem) => create(ours, problem),
  async first(problem) {
    const layer = makeLayer(problem, await gpuDevice(ours), ours);
    const { data } = await layer.forward({ shape: problem.layer.input, data: problem.input });
    return data as Float32Array;
  },
});

export const oursWebgpu: Contender = onWebgpu('ours-webgpu', library);
