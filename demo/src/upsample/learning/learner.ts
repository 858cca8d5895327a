import {
  ConvTranspose2d,
  convTranspose2dBackward,
  download,
  upload,
  type Device,
  type GpuTensor,
  type HostTensor,
} from 'webgpu-conv-transpose2d';
import { SuperResolution } from '../../../../examples/super-resolution.ts';
import { makeBreather } from '../../work.ts';
import type { Examples } from './patches.ts';

export type Group = 'learning' | 'held';
type Groups = Readonly<Record<Group, Examples>>;

/** A kernel that learns, on a device. */
export interface Learner {
  /** Learns from all patches of the group 'learning' once. */
  step(rate: number): Promise<void>;
  /** What the kernel makes of a group's small patches. */
  outputs(group: Group): Promise<Float32Array>;
  /** The kernel as it is now: kernel × kernel weights. */
  plane(): Promise<Float32Array>;
  /** Puts another kernel in its place. */
  replace(plane: Float32Array): void;
  destroy(): void;
}

interface Options {
  readonly stride: number;
  readonly padding: number;
}

export function makeLearner(
  start: HostTensor & { readonly data: Float32Array },
  options: Options,
  groups: Groups,
  device: Device,
  signal: AbortSignal,
): Promise<Learner> {
  return device === 'cpu'
    ? Promise.resolve(onCpu(start, options, groups, signal))
    : onGpu(start, options, groups, device);
}

/** Weights, patches and gradients stay on the GPU; only outputs that are judged are read. */
async function onGpu(start: HostTensor, options: Options, groups: Groups, device: GPUDevice): Promise<Learner> {
  const model = new SuperResolution(device, start, options);
  const uploaded = ({ small, large }: Examples): Record<'small' | 'large', GpuTensor> => ({
    small: upload(device, small),
    large: upload(device, large),
  });
  const { learning, held } = { learning: uploaded(groups.learning), held: uploaded(groups.held) };
  const on = { learning, held };
  await model.prepare(learning.small.shape);
  return {
    async step(rate) {
      model.step(learning.small, learning.large, rate);
      // Otherwise all steps would be under way before the first is done, and none could be cancelled.
      await device.queue.onSubmittedWorkDone();
    },
    async outputs(group) {
      const encoder = device.createCommandEncoder();
      const output = model.layer.encode(encoder, on[group].small);
      device.queue.submit([encoder.finish()]);
      try {
        const { data } = await download(device, output);
        return data as Float32Array;
      } finally {
        output.buffer.destroy();
      }
    },
    async plane() {
      const { weight } = await model.layer.stateDict();
      return weight.data as Float32Array;
    },
    replace(data) {
      model.layer.loadStateDict({ weight: { shape: start.shape, data } });
    },
    destroy() {
      model.destroy();
      for (const { small, large } of [learning, held]) for (const { buffer } of [small, large]) buffer.destroy();
    },
  };
}

/** The same from host to host, with Adam over again. */
function onCpu(
  weight: HostTensor & { readonly data: Float32Array },
  { stride, padding }: Options,
  groups: Groups,
  signal: AbortSignal,
): Learner {
  const options = { stride, padding, device: 'cpu' } as const;
  const [, , kernel = NaN] = weight.shape;
  const layer = new ConvTranspose2d(1, 1, kernel, { ...options, bias: false });
  const moments = { first: new Float64Array(weight.data.length), second: new Float64Array(weight.data.length) };
  let steps = 0;
  const breathe = makeBreather();
  const forward = async ({ small }: Examples): Promise<Float32Array> => {
    layer.loadStateDict({ weight });
    const { data } = await layer.forward(small, { signal });
    // Calls this short come back without a turn of the event loop.
    await breathe();
    return data as Float32Array;
  };
  return {
    async step(rate) {
      const { small, large } = groups.learning;
      const output = await forward(groups.learning);
      const data = output.map((value, i) => (2 / output.length) * (value - (large.data[i] ?? NaN)));
      const gradOutput = { shape: large.shape, data };
      const { gradWeight } = await convTranspose2dBackward(gradOutput, small, weight, { ...options, signal });
      await breathe();
      const { first, second } = moments;
      steps++;
      for (const [i, g] of (gradWeight.data as Float32Array).entries()) {
        const m = (first[i] = 0.9 * (first[i] ?? NaN) + 0.1 * g);
        const v = (second[i] = 0.999 * (second[i] ?? NaN) + 0.001 * g * g);
        weight.data[i] =
          (weight.data[i] ?? NaN) - (rate * m) / (1 - 0.9 ** steps) / (Math.sqrt(v / (1 - 0.999 ** steps)) + 1e-8);
      }
    },
    outputs: (group) => forward(groups[group]),
    plane: () => Promise.resolve(weight.data.slice()),
    replace(plane) {
      weight.data.set(plane);
    },
    destroy() {
      layer.destroy();
    },
  };
}
