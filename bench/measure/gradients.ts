import * as tf from '@tensorflow/tfjs-core';
import '@tensorflow/tfjs-core/dist/register_all_gradients';
import {
  ConvTranspose2dGradients,
  download,
  upload,
  type BackwardTargets,
  type GpuTensor,
} from 'webgpu-conv-transpose2d';
import { convTranspose2dBackwardReference } from 'webgpu-conv-transpose2d/reference';
import { gpuDevice, makeLayer } from '../contenders/ours.ts';
import { callOf, permute, useKernel } from '../contenders/tfjs.ts';
import { makeProblem, optionsOf, type Layer, type Problem } from '../layer.ts';
import { median } from './statistics.ts';

/** Milliseconds on one layer, or what TensorFlow.js says when it refuses; errors over the largest gradient. */
export interface GradientRow {
  readonly layer: string;
  readonly forwardMs: number;
  readonly gradInputMs: number;
  readonly gradWeightMs: number;
  readonly gradBiasMs: number;
  /** All three in one call. */
  readonly allMs: number;
  /** Of input and weight: its layer has no bias. */
  readonly tfjsMs: number | null;
  /** Times as fast as TensorFlow.js, the median over the rounds. */
  readonly ratio: number | null;
  readonly maxError: number;
  readonly tfjsMaxError: number | null;
  readonly error?: string;
}

type Run = (times: number) => Promise<void>;

/** Above this, a result is wrong rather than rounded: sums here have up to 10⁶ terms. */
const WRONG = 1e-3;

export async function raceGradients(layer: Layer, rounds: number, sampleMs: number): Promise<GradientRow> {
  const problem = makeProblem(layer);
  const { data: gradOutput } = noiseLike(problem);
  const expected = convTranspose2dBackwardReference(
    { shape: problem.outputShape, data: gradOutput },
    { shape: layer.input, data: problem.input },
    { shape: problem.weightShape, data: problem.weight },
    optionsOf(layer),
  );
  const mine = await ours(problem, gradOutput);
  const runs: Record<string, Run> = { ...mine.runs };
  await mine.runs.all(1);
  const [gradInput, gradWeight] = await mine.read();
  const maxError = Math.max(error(gradInput, expected.gradInput.data), error(gradWeight, expected.gradWeight.data));
  if (!(maxError < WRONG)) throw new Error(`${layer.name}: a gradient is off by ${maxError}`);

  let theirs: Awaited<ReturnType<typeof tfjs>> | undefined;
  let tfjsMaxError: number | null = null;
  let refusal: string | undefined;
  try {
    theirs = await tfjs(problem, gradOutput);
    await theirs.run(1);
    const [x, w] = await theirs.read();
    tfjsMaxError = Math.max(error(x, expected.gradInput.data), error(w, expected.gradWeight.data));
    if (!(tfjsMaxError < WRONG)) throw new Error('wrong result');
    const { run } = theirs;
    runs['tfjs'] = run;
  } catch (cause) {
    refusal = cause instanceof Error ? cause.message : String(cause);
  }

  const samples = Object.fromEntries(Object.keys(runs).map((name) => [name, [] as number[]]));
  const repeats: Record<string, number> = {};
  for (const [name, run] of Object.entries(runs)) {
    await time(run, 1);
    repeats[name] = Math.max(1, Math.min(100, Math.round(sampleMs / (await time(run, 1)))));
  }
  const names = Object.keys(runs);
  for (let round = 0; round < rounds; round++) {
    for (let turn = 0; turn < names.length; turn++) {
      const name = names[(round + turn) % names.length]!;
      samples[name]!.push(await time(runs[name]!, repeats[name]!));
    }
  }
  mine.dispose();
  theirs?.dispose();
  const typical = (name: string): number => median(samples[name]!);
  const ratios = samples['tfjs']?.map((ms, round) => ms / (samples['inputAndWeight']![round] ?? NaN));
  return {
    layer: layer.name,
    forwardMs: typical('forward'),
    gradInputMs: typical('gradInput'),
    gradWeightMs: typical('gradWeight'),
    gradBiasMs: typical('gradBias'),
    allMs: typical('all'),
    tfjsMs: ratios ? typical('tfjs') : null,
    ratio: ratios ? median(ratios) : null,
    ...{ maxError, tfjsMaxError },
    ...(refusal === undefined ? {} : { error: refusal }),
  };
}

async function time(run: Run, repeats: number): Promise<number> {
  const start = performance.now();
  await run(repeats);
  return (performance.now() - start) / repeats;
}

/** The output's gradient, as another layer's input would be drawn. */
function noiseLike({ layer, outputShape }: Problem): { data: Float32Array<ArrayBuffer> } {
  return { data: makeProblem({ ...layer, input: outputShape }).input };
}

function error(actual: ArrayLike<number>, expected: Float64Array): number {
  let [largest, most] = [0, 0];
  expected.forEach((value, at) => {
    largest = Math.max(largest, Math.abs(value));
    // Written so that NaN counts.
    const off = Math.abs((actual[at] ?? NaN) - value);
    most = off <= most ? most : off;
  });
  return most / largest;
}

async function ours(problem: Problem, gradOutput: Float32Array) {
  const { layer, input, weight, weightShape, outputShape } = problem;
  const device = await gpuDevice();
  const forward = makeLayer(problem, device);
  await forward.prepare(layer.input);
  const options = { ...optionsOf(layer), device };
  const made = new ConvTranspose2dGradients(layer.input[1], layer.outChannels, layer.kernelSize, options);
  await made.prepare(layer.input);
  const operands = {
    gradOutput: upload(device, { shape: outputShape, data: gradOutput }),
    input: upload(device, { shape: layer.input, data: input }),
    weight: upload(device, { shape: weightShape, data: weight }),
  };
  const first = device.createCommandEncoder();
  const output = forward.encode(first, operands.input);
  const gradients = made.encodeBackward(first, operands);
  device.queue.submit([first.finish()]);

  const recorded =
    (record: (encoder: GPUCommandEncoder) => void): Run =>
    async (times) => {
      const encoder = device.createCommandEncoder();
      for (let i = 0; i < times; i++) record(encoder);
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
    };
  const backward = (targets: BackwardTargets): Run =>
    recorded((encoder) => {
      made.encodeBackward(encoder, operands, targets);
    });
  const none = { gradInput: null, gradWeight: null, gradBias: null };
  return {
    runs: {
      forward: recorded((encoder) => {
        forward.encode(encoder, operands.input, output);
      }),
      gradInput: backward({ ...none, gradInput: gradients.gradInput }),
      gradWeight: backward({ ...none, gradWeight: gradients.gradWeight }),
      gradBias: backward({ ...none, gradBias: gradients.gradBias }),
      inputAndWeight: backward({ ...gradients, gradBias: null }),
      all: backward(gradients),
    },
    async read() {
      const values = async (tensor: GpuTensor) => (await download(device, tensor)).data as Float32Array;
      return [await values(gradients.gradInput), await values(gradients.gradWeight)] as const;
    },
    dispose() {
      for (const { buffer } of [...Object.values(operands), output, ...Object.values(gradients)]) buffer.destroy();
      forward.destroy();
      made.destroy();
    },
  };
}

/** TensorFlow.js's own gradients, through the public `tf.grads`. */
async function tfjs(problem: Problem, gradOutput: Float32Array) {
  const { layer, outputShape } = problem;
  const { gpu, x, filter, shape, padding } = await callOf(problem);
  const dy = tf.tensor4d(permute(gradOutput, outputShape, [0, 2, 3, 1]), shape);
  const both = tf.grads((a, b) =>
    tf.conv2dTranspose(a as tf.Tensor4D, b as tf.Tensor4D, shape, [...layer.stride], padding),
  );
  let results: tf.Tensor[] = [];
  return {
    run: async (times: number): Promise<void> => {
      // Its forward is part of it: on its own kernel.
      useKernel(false);
      for (let i = 0; i < times; i++) {
        tf.dispose(results);
        results = both([x, filter], dy);
      }
      gpu.endComputePassEncoder();
      gpu.submitQueue();
      await gpu.queue.onSubmittedWorkDone();
    },
    async read() {
      const [gradInput, gradWeight] = await Promise.all(results.map((result) => result.data<'float32'>()));
      return [permute(gradInput!, x.shape, [0, 3, 1, 2]), permute(gradWeight!, filter.shape, [3, 2, 0, 1])] as const;
    },
    dispose(): void {
      tf.dispose([...results, x, filter, dy]);
    },
  };
}
