// The laws hold for the reference, and each of them catches a mistake that a kernel could make.
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { convTranspose2dReference } from '../../src/reference.ts';
import type { ConvTranspose2dOptions, HostTensor } from '../../src/types.ts';
import { laws, type Implementation } from '../support/laws.ts';
import { tensorOf, valuesOf } from '../support/tensors.ts';

type Run = (
  input: HostTensor,
  weight: HostTensor,
  bias: HostTensor | undefined,
  options: ConvTranspose2dOptions,
) => HostTensor;

const right: Run = (input, weight, bias, options) => {
  const { shape, data } = convTranspose2dReference(input, weight, bias, options);
  return tensorOf(shape, data);
};

const as = (name: string, run: Run): Implementation => ({ name, run: (...call) => Promise.resolve(run(...call)) });

test.each(Object.entries(laws))('the reference: %s', async (_, law) => {
  await fc.assert(law(as('reference', right)), { numRuns: 60 });
});

/** The result with each number replaced. */
const changed = (tensor: HostTensor, by: (value: number, at: number) => number): HostTensor =>
  tensorOf(tensor.shape, valuesOf(tensor).map(by));

describe('a mistake is caught', () => {
  const mistakes: [keyof typeof laws, Run][] = [
    ['linear in the input', (x, w, b, o) => right(changed(x, Math.abs), w, b, o)],
    ['linear in the weight', (x, w, b, o) => right(x, changed(w, Math.abs), b, o)],
    [
      'the bias is added to every output of its channel',
      (x, w, b, o) => right(x, w, b && changed(b, (value, at) => (at === 0 ? value + 1 : value)), o),
    ],
    [
      'adjoint of the strided convolution: ⟨convT x, g⟩ = ⟨x, conv g⟩',
      (x, w, b, o) => right(x, tensorOf(w.shape, valuesOf(w).reverse()), b, o),
    ],
    [
      'groups are layers side by side',
      (x, w, b, o) => ((o.groups ?? 1) > 2 ? changed(right(x, w, b, o), (value) => value + 1) : right(x, w, b, o)),
    ],
    [
      'the images of a batch do not know of each other',
      (x, w, b, o) => changed(right(x, w, b, o), (value) => value + valuesOf(x).at(-1)),
    ],
    [
      'a shift of the input by one is a shift of the output by the stride',
      (x, w, b, o) => changed(right(x, w, b, o), (value, at) => (at === 0 ? value + 1 : value)),
    ],
    [
      'padding is a crop, and beyond the full result there is the bias alone',
      (x, w, b, o) =>
        Array.isArray(o.padding) && o.padding.length === 4
          ? changed(right(x, w, b, o), (value) => value + Number(o.padding?.toString().includes('-')))
          : right(x, w, b, o),
    ],
    [
      'layouts hold the same numbers',
      (x, w, b, o) => (o.layout === 'NHWC' ? changed(right(x, w, b, o), (value) => -value) : right(x, w, b, o)),
    ],
  ];

  test('by every law', () => {
    expect(mistakes.map(([name]) => name)).toEqual(Object.keys(laws));
  });

  test.each(mistakes)('%s', async (name, run) => {
    const { failed } = await fc.check(laws[name]!(as('mistaken', run)), { numRuns: 200, endOnFailure: true });
    expect(failed).toBe(true);
  });
});
