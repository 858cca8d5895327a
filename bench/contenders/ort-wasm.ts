import * as ort from 'onnxruntime-web/wasm';
import type { Problem } from '../layer.ts';
import type { Contender, Instance } from './contender.ts';
import { problemModel, tinyModel } from './onnx-model.ts';

ort.env.wasm.numThreads = 1;
ort.env.logLevel = 'error';

async function create(problem: Problem): Promise<Instance> {
  const { layer, input } = problem;
  const session = await ort.InferenceSession.create(problemModel(problem), {
    executionProviders: ['wasm'],
    graphOptimizationLevel: 'all',
  });
  const x = new ort.Tensor('float32', input, layer.input);
  let result: Float32Array | undefined;
  return {
    async run(times) {
      for (let i = 0; i < times; i++) result = (await session.run({ x }))['y']?.data as Float32Array;
    },
    read() {
      return result ? Promise.resolve(result) : Promise.reject(new Error('read before run'));
    },
    dispose: () => session.release(),
  };
}

/** ONNX Runtime's WASM build: SIMD, one thread; arrays in, arrays out. */
export const ortWasm: Contender = {
  name: 'ort-wasm',
  settings: ['simd'],
  async adapter() {
    const session = await ort.InferenceSession.create(tinyModel(), { executionProviders: ['wasm'] });
    await session.release();
    return 'cpu';
  },
  create,
};
