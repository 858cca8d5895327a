import { expect } from 'vitest';
import { convTranspose2d } from '../../src/index.ts';
import type { ConvTranspose2dOptions, Device } from '../../src/types.ts';
import { hasRule, operandsOf, optionsByRule, resolvedOptions, type Case } from './conformance.ts';
import { valuesOf } from './tensors.ts';
import { mismatch } from './tolerance.ts';

/** Expects a case's numbers, by its resolved options and, where it has a rule, by that. */
export async function expectNumbers(entry: Case, device: Device): Promise<void> {
  await expectNumbersBy(entry, resolvedOptions(entry), device);
  if (hasRule(entry)) await expectNumbersBy(entry, optionsByRule(entry), device);
}

async function expectNumbersBy(entry: Case, options: ConvTranspose2dOptions, device: Device): Promise<void> {
  const { input, weight, bias } = operandsOf(entry);
  const result = await convTranspose2d(input, weight, bias, { ...options, device });
  const { shape, data, digest } = entry.expected;
  expect(result.shape).toEqual(shape);
  const problem = { input, weight, bias, options };
  const lane = { lane: 'float', output: entry.dtype } as const;
  expect(mismatch(result, problem, lane), 'against the reference').toBeUndefined();
  if (data !== undefined) {
    const source = { values: data, tolerance: entry.tolerance };
    expect(mismatch(result, problem, { ...lane, source }), "against the source's numbers").toBeUndefined();
  }
  if (digest !== undefined) {
    // Data of eighths: results are exact in float32.
    const values = valuesOf(result);
    for (const [at, value] of digest.samples) expect(values[at], `output ${at}`).toBe(value);
  }
}
