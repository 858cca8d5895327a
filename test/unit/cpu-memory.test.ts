// What the CPU path does while there is no room for a WebAssembly memory, as on a page that has many already.
import { afterEach, expect, test } from 'vitest';
import { Cpu, type CpuSettings } from '../../src/cpu/cpu.ts';

const { Memory } = WebAssembly;
afterEach(() => {
  WebAssembly.Memory = Memory;
});

test.each<[string, Partial<CpuSettings>]>([
  ['the calling thread', { workers: false }],
  ['a worker of its own', { workers: true }],
  ['threads', { workers: true, shared: true }],
])('%s: a call says that there is none, and one after it finds it', async (_, settings) => {
  const cpu = new Cpu({ variant: 'simd', workers: false, shared: false, threads: 1, ...settings });
  const crew = { workers: settings.workers === true ? 1 : 0, caller: true };
  WebAssembly.Memory = function () {
    throw new RangeError('WebAssembly.Memory(): could not allocate memory');
  } as unknown as typeof Memory;
  await expect(cpu.engineFor(crew)).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
  cpu.dispose();
  await expect(cpu.engineFor(crew)).rejects.toMatchObject({ code: 'OUT_OF_MEMORY' });
  WebAssembly.Memory = Memory;
  expect((await cpu.engineFor(crew))!.dead).toBe(false);
  cpu.dispose();
});
