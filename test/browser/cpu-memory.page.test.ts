// The memory that the CPU path takes: refused in time, and used again.
import { describe, expect, test } from 'vitest';
import type { Layer } from '../support/arbitraries.ts';
import { EagerCpu, forward, make, ways } from '../support/cpu-ways.ts';
import { floatTensor, integerTensor } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

const total = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0);

describe.each(Object.entries(ways).filter(([, { variant }]) => variant))('%s: memory', (_, settings) => {
  test('a call too large gives OUT_OF_MEMORY, and leaves the layer usable', async () => {
    const cpu = new EagerCpu(settings);
    const small: Layer = {
      input: integerTensor([1, 1, 3, 3], 1),
      weight: integerTensor([1, 64, 3, 3], 2),
      bias: undefined,
      options: { stride: 8 },
    };
    const { layer, plan } = make(cpu, small);
    const huge = { shape: [1, 1, 600, 600], data: new Float32Array(360_000) };
    // 64 × 4795² float32: more than WebAssembly's addresses reach.
    const large = make(cpu, { ...small, input: huge });
    await expect(large.layer.forward(large.plan, huge, undefined, undefined)).rejects.toMatchObject({
      code: 'OUT_OF_MEMORY',
    });
    for (const made of [
      { layer, plan },
      { layer: large.layer, plan },
    ]) {
      expect(mismatch(await forward(made, small.input), small, { lane: 'exact' })).toBeUndefined();
    }
    layer.destroy();
    large.layer.destroy();
    cpu.dispose();
  });

  test('calls and layers use the same memory again', async () => {
    const grown: number[] = [];
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its memory below
    const grow = WebAssembly.Memory.prototype.grow;
    WebAssembly.Memory.prototype.grow = function (pages) {
      grown.push(pages);
      return grow.call(this, pages);
    };
    const cpu = new EagerCpu({ ...settings, workers: settings.workers && settings.shared });
    const layer: Layer = {
      input: floatTensor([1, 32, 40, 40], 1),
      weight: floatTensor([32, 32, 3, 3], 2),
      bias: undefined,
      options: {},
    };
    try {
      let first = 0;
      for (let i = 0; i < 20; i++) {
        const made = make(cpu, layer);
        await forward(made, layer.input);
        made.layer.loadHost({ weight: layer.weight });
        await forward(made, layer.input);
        made.layer.destroy();
        await Promise.resolve();
        if (i === 0) first = total(grown);
      }
      expect(first).toBeGreaterThan(0);
      // One more block for each worker, since one that is late with a call still has its memory.
      expect(total(grown)).toBeLessThanOrEqual((1 + settings.threads) * first);
    } finally {
      WebAssembly.Memory.prototype.grow = grow;
      cpu.dispose();
    }
  });
});
