import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { ConvTranspose2d, convTranspose2d } from '../../src/index.ts';
import type { CpuKernelName } from '../../src/kernels.ts';
import { cases } from './conformance.ts';
import { expectNumbers } from './expect-numbers.ts';
import { laws } from './laws.ts';

/** The conformance cases' numbers and the laws, in a file whose engine has the CPU path take that kernel. */
export function describeCpu(kernel: CpuKernelName): void {
  describe(`cpu, ${kernel}`, () => {
    test('the kernel is the one that is tested', () => {
      const layer = new ConvTranspose2d(3, 5, 3, { device: 'cpu' });
      expect(layer.plan([1, 3, 4, 4]).kernel).toBe(kernel);
      layer.destroy();
    });

    test('there are cases', () => {
      expect(cases.length).toBeGreaterThan(100);
    });

    test.each(cases.map((entry) => [`${entry.file}: ${entry.name}`, entry] as const))('%s', (_, entry) =>
      expectNumbers(entry, 'cpu'),
    );

    test.each(Object.entries(laws))('%s', async (_, law) => {
      const run: Parameters<typeof law>[0]['run'] = (input, weight, bias, options) =>
        convTranspose2d(input, weight, bias, { ...options, device: 'cpu' });
      await fc.assert(law({ name: kernel, run }), { numRuns: 60 });
    });
  });
}
