// The page stays alive while the CPU path computes.
import { describe, expect, test } from 'vitest';
import { Cpu } from '../../src/cpu/cpu.ts';
import type { HostTensor } from '../../src/types.ts';
import { bigLayer, forward, inBackground, make, ways } from '../support/cpu-ways.ts';
import { longestHold } from '../support/longest-hold.ts';
import { valuesOf } from '../support/tensors.ts';

test('the page is cross-origin isolated, as this file needs it', () => {
  expect(crossOriginIsolated).toBe(true);
});

test('a thread that is held is seen', async () => {
  const hold = await longestHold(() => {
    const end = performance.now() + 500;
    while (performance.now() < end);
    return Promise.resolve();
  });
  expect(hold).toBeGreaterThan(50);
});

describe.each(inBackground)('%s', (_, settings) => {
  test('a long call never holds the page for 50 ms', async () => {
    const cpu = new Cpu(settings);
    const big = bigLayer();
    const made = make(cpu, big);
    await made.layer.prepare(made.plan);
    let result: HostTensor | undefined;
    const began = performance.now();
    const hold = await longestHold(async () => {
      result = await forward(made, big.input);
    });
    expect(performance.now() - began).toBeGreaterThan(500);
    // In the middle, all 36 taps of all channels.
    expect(result?.data[82 * 165 + 82]).toBe(128 * 36);
    expect(hold).toBeLessThan(50);
    made.layer.destroy();
    cpu.dispose();
  });

  test('large tensors never hold the page for 50 ms', async () => {
    const cpu = new Cpu(settings);
    const input = { shape: [1, 16, 1024, 1024], data: new Float32Array(2 ** 24).fill(1) };
    const weight = { shape: [16, 1, 2, 2], data: new Float32Array(64).fill(1) };
    const made = make(cpu, { input, weight, bias: undefined, options: { stride: 2, groups: 16 } });
    await made.layer.prepare(made.plan);
    const output = { shape: made.plan.plan.outputShape, data: new Float32Array(made.plan.outputElements) };
    const hold = await longestHold(() => made.layer.forward(made.plan, input, output, undefined));
    expect(output.data.every((value) => value === 1)).toBe(true);
    expect(hold).toBeLessThan(50);
    made.layer.destroy();
    cpu.dispose();
  });

  test('many short calls, one after the other, never hold the page for 50 ms', async () => {
    const cpu = new Cpu(settings);
    const input = { shape: [1, 8, 32, 32], data: new Float32Array(8 * 32 * 32).fill(1) };
    const weight = { shape: [8, 8, 2, 2], data: new Float32Array(256).fill(1) };
    const made = make(cpu, { input, weight, bias: undefined, options: { stride: 2 } });
    await made.layer.prepare(made.plan);
    let calls = 0;
    const hold = await longestHold(async () => {
      const began = performance.now();
      for (; performance.now() - began < 600; calls++) await forward(made, input);
    });
    expect(calls).toBeGreaterThan(10);
    expect(hold).toBeLessThan(50);
    made.layer.destroy();
    cpu.dispose();
  });
});

test.each(['float32', 'float16'] as const)(
  '16 million weights of %s are packed without holding the page',
  async (dtype) => {
    const cpu = new Cpu(ways['relaxed SIMD on three threads']!);
    const shape = [1024, 1024, 4, 4];
    const count = 2 ** 24;
    const weight: HostTensor =
      dtype === 'float32'
        ? { shape, data: new Float32Array(count).fill(1) }
        : { shape, data: new Uint16Array(count).fill(0x3c00), dtype };
    const input: HostTensor =
      dtype === 'float32'
        ? { shape: [1, 1024, 1, 1], data: new Float32Array(1024).fill(1) }
        : { shape: [1, 1024, 1, 1], data: new Uint16Array(1024).fill(0x3c00), dtype };
    const made = make(cpu, { input, weight, bias: undefined, options: {} });
    expect(await longestHold(() => made.layer.prepare(made.plan))).toBeLessThan(50);
    expect(valuesOf(await forward(made, input)).every((value) => value === 1024)).toBe(true);
    made.layer.destroy();
    cpu.dispose();
  },
);
