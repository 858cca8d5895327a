// The page that bench/run.mjs drives: each contender is imported when it is first asked for, all run in this one page.
import { contenders, loadContender } from '../contenders/index.ts';
import type { Layer } from '../layer.ts';
import type { Ceiling } from '../measure/ceiling.ts';
import type { EncodeCost } from '../measure/encode-cost.ts';
import type { GradientRow } from '../measure/gradients.ts';
import { race, type Race } from '../measure/race.ts';

declare global {
  /** Exposed by run.mjs. */
  function reportProgress(what: string): Promise<void>;
  var bench: typeof api;
}

const api = {
  contenders: Object.keys(contenders),

  /** Asks each contender what it runs on. */
  async adapters(names: readonly string[]): Promise<Record<string, string>> {
    if (!crossOriginIsolated) throw new Error('the page is not cross-origin isolated');
    const adapters: Record<string, string> = {};
    for (const name of names) {
      adapters[name] = await (await loadContender(name)).adapter().catch((error: unknown) => `none: ${String(error)}`);
    }
    return adapters;
  },

  async race(layer: Layer, names: readonly string[], rounds: number, sampleMs: number): Promise<Race> {
    const racing = await Promise.all(names.map(loadContender));
    return race(layer, racing, {
      rounds,
      sampleMs,
      maxRunMs: 60_000,
      progress: reportProgress,
    });
  },

  async ceiling(): Promise<Ceiling> {
    const { matmulCeiling } = await import('../measure/ceiling.ts');
    const adapter = await navigator.gpu.requestAdapter({ powerPreference: 'high-performance' });
    if (!adapter) throw new Error('no WebGPU adapter');
    const device = await adapter.requestDevice();
    const ceiling = await matmulCeiling(device);
    device.destroy();
    return ceiling;
  },

  async gradients(layer: Layer, rounds: number, sampleMs: number): Promise<GradientRow> {
    const { raceGradients } = await import('../measure/gradients.ts');
    return raceGradients(layer, rounds, sampleMs);
  },

  async encodeCost(layer: Layer): Promise<EncodeCost> {
    const [{ gpuDevice }, { encodeCost }] = await Promise.all([
      import('../contenders/ours.ts'),
      import('../measure/encode-cost.ts'),
    ]);
    return encodeCost(await gpuDevice(), layer);
  },
};

globalThis.bench = api;
