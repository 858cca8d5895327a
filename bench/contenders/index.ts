import type { Contender } from './contender.ts';

/** Every contender by name, loaded when it is asked for. */
export const contenders: Readonly<Record<string, () => Promise<Contender>>> = {
  'ours-webgpu': async () => (await import('./ours.ts')).oursWebgpu,
  'ours-direct': async () => (await import('./ours-direct.ts')).oursDirect,
  'ort-webgpu': async () => (await import('./ort-webgpu.ts')).ortWebgpu,
  'tfjs-webgpu': async () => (await import('./tfjs.ts')).tfjsWebgpu,
  'tfjs-registered': async () => (await import('./tfjs.ts')).tfjsRegistered,
  'ours-cpu': async () => (await import('./ours-cpu.ts')).oursCpu,
  'ours-cpu-output': async () => (await import('./ours-cpu.ts')).oursCpuOutput,
  'ours-cpu-simd': async () => (await import('./ours-cpu.ts')).oursCpuSimd,
  'ours-cpu-threads': async () => (await import('./ours-cpu.ts')).oursCpuThreads,
  'ours-cpu-threads-output': async () => (await import('./ours-cpu.ts')).oursCpuThreadsOutput,
  'ours-cpu-apart': async () => (await import('./ours-cpu.ts')).oursCpuApart,
  'ort-wasm': async () => (await import('./ort-wasm.ts')).ortWasm,
};

export async function loadContender(name: string): Promise<Contender> {
  const load = contenders[name];
  if (!load) throw new Error(`no contender ${name}: there are ${Object.keys(contenders).join(', ')}`);
  return load();
}
