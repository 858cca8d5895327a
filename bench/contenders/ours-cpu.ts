import type { HostTensor } from 'webgpu-conv-transpose2d';
import { elements, type Problem } from '../layer.ts';
import type { Contender, Instance } from './contender.ts';
import type { Task } from './apart-worker.ts';
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

type Create = typeof createOnCpu;

/** Frames of this page whose machine seems to have one core: the library there takes one thread, by itself. */
const frames = new Map<string, Promise<Create>>();
function openFrame(page: string): Promise<Create> {
  const opened =
    frames.get(page) ??
    new Promise<Create>((resolve, reject) => {
      const element = document.createElement('iframe');
      element.src = new URL(page, location.href).href;
      window.addEventListener('message', ({ source }) => {
        const create = (source as (Window & { createOnCpu?: Create }) | null)?.createOnCpu;
        if (source === element.contentWindow && create) resolve(create);
      });
      element.addEventListener('error', () => {
        reject(new Error('the frame for one thread did not load'));
      });
      document.body.append(element);
    });
  frames.set(page, opened);
  return opened;
}

const adapter = (): Promise<string> => Promise.resolve('cpu');

const settingOf = (ownOutput: boolean): string => (ownOutput ? 'output handed in' : 'new output');

const oneThread = (name: string, page: string, ownOutput: boolean): Contender => ({
  name,
  settings: [settingOf(ownOutput)],
  adapter: () => openFrame(page).then(adapter),
  create: async (problem) => (await openFrame(page))(problem, ownOutput),
});

export const oursCpu: Contender = oneThread('ours-cpu', 'one-thread.html', false);
export const oursCpuOutput: Contender = oneThread('ours-cpu-output', 'one-thread.html', true);
/** As on an engine without relaxed SIMD. */
export const oursCpuSimd: Contender = oneThread('ours-cpu-simd', 'one-thread.html?simd', false);

/** As many threads as the library takes by itself. */
const threads = (name: string, ownOutput: boolean): Contender => ({
  name,
  settings: [settingOf(ownOutput)],
  adapter,
  create: (problem) => createOnCpu(problem, ownOutput),
});

export const oursCpuThreads: Contender = threads('ours-cpu-threads', false);
export const oursCpuThreadsOutput: Contender = threads('ours-cpu-threads-output', true);

/** A worker that does one task after the other; see apart-worker.ts. */
function openWorker(): { readonly ask: (task: Task) => Promise<Float32Array>; readonly end: () => void } {
  const worker = new Worker(new URL('apart-worker.ts', import.meta.url), { type: 'module' });
  const answer = (): Promise<Float32Array> =>
    new Promise((resolve, reject) => {
      worker.onmessage = ({ data }: MessageEvent<Float32Array>) => {
        resolve(data);
      };
      worker.onerror = ({ message }) => {
        reject(new Error(message));
      };
    });
  const ready = answer();
  return {
    async ask(task) {
      await ready;
      worker.postMessage(task);
      return answer();
    },
    end() {
      worker.terminate();
    },
  };
}

/**
 * Two workers with a library each, on one thread, and nothing shared: what the machine's second core is worth, and so the most
 * that two threads can be.
 */
export const oursCpuApart: Contender = {
  name: 'ours-cpu-apart',
  settings: ['new output'],
  adapter,
  async create(problem) {
    const workers = [openWorker(), openWorker()] as const;
    const all = async (task: Task): Promise<void> => {
      await Promise.all(workers.map(({ ask }) => ask(task)));
    };
    await all({ kind: 'create', problem });
    return {
      abreast: workers.length,
      run: (times) => all({ kind: 'run', times }),
      read: () => workers[0].ask({ kind: 'read' }),
      dispose() {
        for (const { end } of workers) end();
        return Promise.resolve();
      },
    };
  },
};
