// The race in Node: Dawn, from npm's `webgpu`, is navigator.gpu. Started by bench/dawn.mjs, with a file to write to.
import { writeFileSync } from 'node:fs';
import { create, globals } from 'webgpu';
import type { Contender } from '../contenders/contender.ts';
import type { Layer } from '../layer.ts';
import { matmulCeiling, type Ceiling } from '../measure/ceiling.ts';
import { race, type Race } from '../measure/race.ts';

export interface Config {
  readonly layers: readonly Layer[];
  readonly contenders: readonly string[];
  readonly rounds: number;
  readonly maxRunMs: number;
  readonly file: string;
}

export interface Results {
  readonly adapters: Record<string, string>;
  readonly ceiling: Ceiling;
  readonly races: readonly Race[];
}

Object.assign(globalThis, globals);
// Dawn crashes when its GPU is collected while devices live. A property of globalThis is never collected.
const gpu = create([]);
Object.defineProperty(globalThis, 'dawn', { value: gpu });
// One core: the library takes one thread, by itself.
Object.defineProperty(globalThis, 'navigator', { value: { gpu, hardwareConcurrency: 1, userAgent: 'Node' } });

const contenders: Readonly<Record<string, () => Promise<Contender>>> = {
  'ours-webgpu': async () => (await import('../contenders/ours.ts')).oursWebgpu,
  'ours-direct': async () => (await import('../contenders/ours-direct.ts')).oursDirect,
  'tfjs-webgpu': async () => (await import('../contenders/tfjs.ts')).tfjsWebgpu,
  'ours-cpu': async () => {
    const { createOnCpu } = await import('../contenders/ours-cpu.ts');
    return {
      name: 'ours-cpu',
      settings: ['new output'],
      adapter: () => Promise.resolve('cpu'),
      create: (problem) => createOnCpu(problem, false),
    };
  },
};

async function main(config: Config): Promise<void> {
  const adapter = await gpu.requestAdapter();
  if (!adapter) {
    process.exitCode = 3; // dawn.mjs then tries again with lavapipe
    return;
  }
  const device = await adapter.requestDevice();
  console.error('matmul');
  const ceiling = await matmulCeiling(device);
  device.destroy();
  await device.lost;

  const racing: Contender[] = [];
  const adapters: Record<string, string> = {};
  for (const name of config.contenders) {
    const contender = await contenders[name]?.();
    if (!contender) throw new Error(`no contender ${name}: there are ${Object.keys(contenders).join(', ')}`);
    adapters[name] = await contender.adapter();
    racing.push(contender);
  }
  const races: Race[] = [];
  for (const [index, layer] of config.layers.entries()) {
    console.error(`${index + 1}/${config.layers.length} ${layer.name}`);
    const { rounds, maxRunMs } = config;
    races.push(await race(layer, racing, { rounds, sampleMs: 20, maxRunMs, progress: () => Promise.resolve() }));
    writeFileSync(config.file, JSON.stringify({ adapters, ceiling, races } satisfies Results));
  }
}

await main(JSON.parse(process.argv[2] ?? '') as Config);
// Not process.exit: with devices alive it may crash.
