import {
  ConvTranspose2d,
  download,
  upload,
  type Device,
  type GpuTensor,
  type HostTensor,
} from 'webgpu-conv-transpose2d';
import { elements, optionsOf, type Problem } from '../../../bench/layer.ts';

/** A layer on a device, ready to run. */
export interface Runner {
  /** Computes the layer so many times over and resolves when the last result is there. */
  run(times: number): Promise<void>;
  read(): Promise<HostTensor>;
  destroy(): void;
}

export async function makeRunner(problem: Problem, device: Device, signal: AbortSignal): Promise<Runner> {
  const { layer, weight, weightShape } = problem;
  const made = new ConvTranspose2d(layer.input[1], layer.outChannels, layer.kernelSize, {
    ...optionsOf(layer),
    bias: false,
    device,
  });
  try {
    made.loadStateDict({ weight: { shape: weightShape, data: weight } });
    await made.prepare(layer.input, { signal });
  } catch (error) {
    made.destroy();
    throw error;
  }
  return device === 'cpu' ? onCpu(problem, made, signal) : onGpu(problem, made, device);
}

/** Input and output stay on the GPU, as they do between the layers of a network. */
function onGpu({ layer, input }: Problem, made: ConvTranspose2d, device: GPUDevice): Runner {
  const from = upload(device, { shape: layer.input, data: input });
  let output: GpuTensor | undefined;
  return {
    async run(times) {
      const encoder = device.createCommandEncoder();
      for (let i = 0; i < times; i++) output = made.encode(encoder, from, output);
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
    },
    read() {
      if (!output) throw new Error('read before run');
      return download(device, output);
    },
    destroy() {
      made.destroy();
      from.buffer.destroy();
      output?.buffer.destroy();
    },
  };
}

function onCpu({ layer, input, outputShape }: Problem, made: ConvTranspose2d, signal: AbortSignal): Runner {
  const from = { shape: layer.input, data: input };
  const output = { shape: outputShape, data: new Float32Array(elements(outputShape)) };
  return {
    async run(times) {
      for (let i = 0; i < times; i++) await made.forward(from, { output, signal });
    },
    read: () => Promise.resolve(output),
    destroy() {
      made.destroy();
    },
  };
}
