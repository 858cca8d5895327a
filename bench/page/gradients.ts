// A page that races our gradients, our forward and TensorFlow.js's gradients of one layer, in turns.
import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-backend-webgpu';
import { ConvTranspose2dGradients, download, upload } from 'webgpu-conv-transpose2d';
import { gpuDevice, makeLayer } from '../contenders/ours.ts';
import { permute } from '../contenders/tfjs.ts';
import { elements, makeProblem, optionsOf, type Layer } from '../layer.ts';
import { median } from '../measure/statistics.ts';

declare global {
  var gradientTimes: (layer: Layer, rounds: number) => Promise<GradientTimes>;
}

export interface GradientTimes {
  readonly layer: string;
  /** Medians; all three gradients, forward, and TensorFlow.js's two. */
  readonly gradientsMs: number;
  readonly forwardMs: number;
  readonly tfjsMs: number | null;
  /** Medians of the rounds' ratios. */
  readonly overForward: number;
  readonly tfjsOverOurs: number | null;
  /** Of the weight's gradients: max |difference| / max |TensorFlow.js's|. */
  readonly difference: number | null;
}

type Run = () => Promise<void>;

async function tensorflow({ layer, input, weight, weightShape, outputShape }: ReturnType<typeof makeProblem>): Promise<{
  run: Run;
  weightGradient: () => Promise<Float32Array>;
  dispose: () => void;
}> {
  await tf.setBackend('webgpu');
  await tf.ready();
  const backend = tf.backend() as unknown as {
    queue: GPUQueue;
    endComputePassEncoder(): void;
    submitQueue(): void;
  };
  const [n, c, h, w] = layer.input;
  const [, outs, outHeight, outWidth] = outputShape;
  const x = tf.tensor4d(permute(input, layer.input, [0, 2, 3, 1]), [n, h, w, c]);
  const filterShape: [number, number, number, number] = [...layer.kernelSize, outs, c];
  const filter = tf.tensor4d(permute(weight, weightShape, [2, 3, 1, 0]), filterShape);
  const dy = tf.ones([n, outHeight, outWidth, outs]);
  const [top, left] = layer.padding;
  const pad: [number, number][] = [
    [0, 0],
    [top, top],
    [left, left],
    [0, 0],
  ];
  const attributes = { strides: [...layer.stride], pad, dataFormat: 'NHWC', dilations: [1, 1] };
  let made: tf.Tensor[] = [];
  // What tf.grads runs for conv2dTranspose, without its forward.
  const run = async (): Promise<void> => {
    for (const tensor of made) tensor.dispose();
    made = [
      tf.engine().runKernel('Conv2D', { x: dy, filter }, attributes),
      tf.engine().runKernel('Conv2DBackpropFilter', { x: dy, dy: x }, { ...attributes, filterShape }),
    ];
    backend.endComputePassEncoder();
    backend.submitQueue();
    await backend.queue.onSubmittedWorkDone();
  };
  return {
    run,
    async weightGradient() {
      return permute(await made[1]!.data<'float32'>(), filterShape, [3, 2, 0, 1]);
    },
    dispose() {
      for (const tensor of [x, filter, dy, ...made]) tensor.dispose();
    },
  };
}

globalThis.gradientTimes = async (layer, rounds) => {
  const problem = makeProblem(layer);
  const device = await gpuDevice();
  const forward = makeLayer(problem, device);
  const options = { ...optionsOf(layer), device };
  const gradients = new ConvTranspose2dGradients(layer.input[1], layer.outChannels, layer.kernelSize, options);
  await forward.prepare(layer.input);
  await gradients.prepare(layer.input);
  const input = upload(device, { shape: layer.input, data: problem.input });
  const weight = upload(device, { shape: problem.weightShape, data: problem.weight });
  const ones = new Float32Array(elements(problem.outputShape)).fill(1);
  const gradOutput = upload(device, { shape: problem.outputShape, data: ones });
  let output: ReturnType<typeof forward.encode> | undefined;
  let made: ReturnType<typeof gradients.encodeBackward> | undefined;
  const submitted = async (record: (encoder: GPUCommandEncoder) => void): Promise<void> => {
    const encoder = device.createCommandEncoder();
    record(encoder);
    device.queue.submit([encoder.finish()]);
    await device.queue.onSubmittedWorkDone();
  };
  const runs: Record<string, Run> = {
    gradients: () =>
      submitted((encoder) => {
        made = gradients.encodeBackward(encoder, { gradOutput, input, weight }, made);
      }),
    forward: () =>
      submitted((encoder) => {
        output = forward.encode(encoder, input, output);
      }),
  };
  const refused = layer.groups !== 1 || layer.dilation.some((step) => step !== 1);
  const peer = refused ? undefined : await tensorflow(problem);
  if (peer) runs['tfjs'] = peer.run;
  const times: Record<string, number[]> = {};
  const names = Object.keys(runs);
  for (let round = -2; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + 2 + turn) % names.length]!;
      const start = performance.now();
      await runs[name]!();
      if (round >= 0) (times[name] ??= []).push(performance.now() - start);
    }
  }
  let difference: number | null = null;
  if (peer) {
    const [ours, theirs] = [(await download(device, made!.gradWeight)).data, await peer.weightGradient()];
    let [most, largest] = [0, 0];
    theirs.forEach((value, at) => {
      largest = Math.max(largest, Math.abs(value));
      most = Math.max(most, Math.abs(value - ours[at]!));
    });
    difference = most / largest;
    peer.dispose();
  }
  const { gradInput, gradWeight, gradBias } = made!;
  for (const { buffer } of [input, weight, gradOutput, output!, gradInput, gradWeight, gradBias]) buffer.destroy();
  forward.destroy();
  gradients.destroy();
  const ratio = (a: string, b: string): number => median(times[a]!.map((ms, i) => ms / times[b]![i]!));
  return {
    layer: layer.name,
    gradientsMs: median(times['gradients']!),
    forwardMs: median(times['forward']!),
    tfjsMs: peer ? median(times['tfjs']!) : null,
    overForward: ratio('gradients', 'forward'),
    tfjsOverOurs: peer ? ratio('tfjs', 'gradients') : null,
    difference,
  };
};
