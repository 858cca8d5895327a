import type { HostTensor } from 'webgpu-conv-transpose2d';
import { elements, type Problem } from '../layer.ts';
import type { Contender, Instance } from './contender.ts';
import { makeLayer } from './ours.ts';

/** Makes an output array a call, as the peers do, or hands the same one in each time. */
export async function createOnCpu(problem: Problem, ownOutput: boolean): Promise<Instance> {
  const { layer, outputShape } = problem;
  const made = makeLayer(problem, 'cpu');
  await made.prepare(layer.input);
  const input = { shape: layer.input, data: problem.input };
  const call = ownOutput ? { output: { shape: outputShape, data: new Float32Array(elements(outputShape)) } } : {};
  let result: HostTensor | undefined;
  return {
    async run(times) {
      for (let i = 0; i < times; i++) result = await made.forward(input, call);
    },
    read() {
      return result ? Promise.resolve(result.data as Float32Array) : Promise.reject(new Error('read before run'));
    },
    dispose() {
      made.destroy();
      return Promise.resolve();
    },
  };
}

/** A frame of this page whose machine seems to have one core: the library there takes one thread, by itself. */
let frame: Promise<typeof createOnCpu> | undefined;
function createOnOneThread(): Promise<typeof createOnCpu> {
  frame ??= new Promise((resolve, reject) => {
    const element = document.createElement('iframe');
    element.src = new URL('one-thread.html', location.href).href;
    window.addEventListener('message', ({ source }) => {
      const create = (source as (Window & { createOnCpu?: typeof createOnCpu }) | null)?.createOnCpu;
      if (source === element.contentWindow && create) resolve(create);
    });
    element.addEventListener('error', () => {
      reject(new Error('the frame for one thread did not load'));
    });
    document.body.append(element);
  });
  return frame;
}

const adapter = (): Promise<string> => Promise.resolve('cpu');

export const oursCpu: Contender = {
  name: 'ours-cpu',
  settings: ['new output'],
  adapter: () => createOnOneThread().then(adapter),
  create: async (problem) => (await createOnOneThread())(problem, false),
};

export const oursCpuOutput: Contender = {
  name: 'ours-cpu-output',
  settings: ['output handed in'],
  adapter: () => createOnOneThread().then(adapter),
  create: async (problem) => (await createOnOneThread())(problem, true),
};

/** As many threads as the library takes by itself. */
export const oursCpuThreads: Contender = {
  name: 'ours-cpu-threads',
  settings: ['new output'],
  adapter,
  create: (problem) => createOnCpu(problem, false),
};
