import * as ort from 'onnxruntime-web/webgpu';
import { elements, type Problem } from '../layer.ts';
import { adapterName, type Contender, type Instance } from './contender.ts';
import { problemModel, tinyModel } from './onnx-model.ts';

ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';

// The first session makes the device and the last one takes it along: a tiny one that is never released keeps it.
let device: Promise<{ keeper: ort.InferenceSession; gpu: GPUDevice }> | undefined;
function ready(): Promise<{ keeper: ort.InferenceSession; gpu: GPUDevice }> {
  device ??= (async () => {
    const keeper = await ort.InferenceSession.create(tinyModel(), { executionProviders: ['webgpu'] });
    return { keeper, gpu: await ort.env.webgpu.device };
  })();
  return device;
}

async function create(problem: Problem, setting: string): Promise<Instance> {
  const { gpu } = await ready();
  const { layer, input, outputShape } = problem;
  const session = await ort.InferenceSession.create(problemModel(problem), {
    executionProviders: [{ name: 'webgpu', preferredLayout: setting === 'nhwc' ? 'NHWC' : 'NCHW' }],
    graphOptimizationLevel: 'all',
    preferredOutputLocation: 'gpu-buffer',
  });
  const storage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
  const bytes = (count: number): number => Math.ceil((count * 4) / 16) * 16;
  const inputBuffer = gpu.createBuffer({ label: 'ort input', size: bytes(input.length), usage: storage });
  const outputBuffer = gpu.createBuffer({ label: 'ort output', size: bytes(elements(outputShape)), usage: storage });
  gpu.queue.writeBuffer(inputBuffer, 0, input);
  const x = ort.Tensor.fromGpuBuffer(inputBuffer, { dataType: 'float32', dims: layer.input });
  const y = ort.Tensor.fromGpuBuffer(outputBuffer, { dataType: 'float32', dims: outputShape });
  return {
    async run(times) {
      for (let i = 0; i < times; i++) await session.run({ x }, { y });
      await gpu.queue.onSubmittedWorkDone();
    },
    async read() {
      const staging = gpu.createBuffer({
        size: outputBuffer.size,
        usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST,
      });
      const encoder = gpu.createCommandEncoder();
      encoder.copyBufferToBuffer(outputBuffer, 0, staging, 0, outputBuffer.size);
      gpu.queue.submit([encoder.finish()]);
      await staging.mapAsync(GPUMapMode.READ);
      const values = new Float32Array(staging.getMappedRange().slice(0), 0, elements(outputShape));
      staging.destroy();
      return values;
    },
    async dispose() {
      await session.release();
      inputBuffer.destroy();
      outputBuffer.destroy();
    },
  };
}

/** ONNX Runtime's WebGPU build: input and output stay in GPU buffers, either layout inside. */
export const ortWebgpu: Contender = {
  name: 'ort-webgpu',
  settings: ['nchw', 'nhwc'],
  async adapter() {
    return adapterName((await ready()).gpu.adapterInfo);
  },
  create,
};
