// A worker of `ours-cpu-apart`. It reports one core, so that the library uses one thread, and answers each task when it is done.
import type { Problem } from '../layer.ts';
import type { Instance } from './contender.ts';

export type Task =
  | { readonly kind: 'create'; readonly problem: Problem }
  | { readonly kind: 'run'; readonly times: number }
  | { readonly kind: 'read' };

Object.defineProperty(navigator, 'hardwareConcurrency', { value: 1 });
// Only now: whoever asks is told so.
const { createOnCpu } = await import('./ours-cpu.ts');
let instance: Instance | undefined;

async function done(task: Task): Promise<Float32Array | undefined> {
  if (task.kind === 'create') instance = await createOnCpu(task.problem, false);
  else if (task.kind === 'run') await instance?.run(task.times);
  else return instance?.read();
  return undefined;
}

globalThis.onmessage = async ({ data }: MessageEvent<Task>) => {
  globalThis.postMessage(await done(data));
};
globalThis.postMessage('ready');
