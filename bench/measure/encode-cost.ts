import { upload } from 'webgpu-conv-transpose2d';
import { makeLayer } from '../contenders/ours.ts';
import { makeProblem, type Layer } from '../layer.ts';
import { median } from './statistics.ts';

/** Microseconds of JavaScript for one `encode`, and for a bare pass that records one dispatch with objects made ahead. */
export interface EncodeCost {
  readonly encodeMicroseconds: number;
  readonly bareMicroseconds: number;
  /** The median over rounds of encode / bare. */
  readonly ratio: number;
}

const ROUNDS = 31;
const CALLS = 1000;

export async function encodeCost(device: GPUDevice, layer: Layer): Promise<EncodeCost> {
  const problem = makeProblem(layer);
  const made = makeLayer(problem, device);
  await made.prepare(layer.input);
  const input = upload(device, { shape: layer.input, data: problem.input });
  const output = upload(device, {
    shape: problem.outputShape,
    data: new Float32Array(made.plan(layer.input).bytes.output / 4),
  });

  const module = device.createShaderModule({
    label: 'bare',
    code: `@group(0) @binding(0) var<storage, read_write> data: array<f32>;
      @compute @workgroup_size(64) fn bare(@builtin(global_invocation_id) id: vec3u) { data[id.x] = 1.0; }`,
  });
  const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module } });
  const buffer = device.createBuffer({ size: 256, usage: GPUBufferUsage.STORAGE });
  const bindGroup = device.createBindGroup({
    layout: pipeline.getBindGroupLayout(0),
    entries: [{ binding: 0, resource: { buffer } }],
  });
  const record = {
    encode: (encoder: GPUCommandEncoder): void => {
      made.encode(encoder, input, output);
    },
    bare: (encoder: GPUCommandEncoder): void => {
      const pass = encoder.beginComputePass();
      pass.setPipeline(pipeline);
      pass.setBindGroup(0, bindGroup);
      pass.dispatchWorkgroups(1);
      pass.end();
    },
  };
  const time = async (what: keyof typeof record): Promise<number> => {
    const encoder = device.createCommandEncoder();
    const start = performance.now();
    for (let i = 0; i < CALLS; i++) record[what](encoder);
    const microseconds = ((performance.now() - start) * 1000) / CALLS;
    encoder.finish(); // never submitted: only the recording is measured
    await device.queue.onSubmittedWorkDone();
    return microseconds;
  };
  const times = { encode: [] as number[], bare: [] as number[] };
  for (let round = -5; round < ROUNDS; round++) {
    for (const what of round % 2 === 0 ? (['encode', 'bare'] as const) : (['bare', 'encode'] as const)) {
      const taken = await time(what);
      if (round >= 0) times[what].push(taken);
    }
  }
  for (const used of [input.buffer, output.buffer, buffer]) used.destroy();
  made.destroy();
  return {
    encodeMicroseconds: median(times.encode),
    bareMicroseconds: median(times.bare),
    ratio: median(times.encode.map((taken, i) => taken / (times.bare[i] ?? NaN))),
  };
}
