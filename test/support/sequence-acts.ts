/** What users do with two layers, for fast-check: one act after the other, in any order. */
import fc from 'fast-check';
import type { ConvTranspose2dOptions, DType } from '../../src/index.ts';

/** What both layers are made with. */
export interface Kind {
  readonly options: ConvTranspose2dOptions;
  readonly dtype: DType;
  /** Input and output channels of the first layer, and of the second the other way around; 2 and 3 unless told. */
  readonly channels?: readonly [number, number];
}
export const kinds: readonly Kind[] = [
  { options: { stride: 2, padding: 1 }, dtype: 'float32' },
  { options: { stride: [1, 3], layout: 'NHWC', weightLayout: 'HWOI' }, dtype: 'float32' },
  { options: { stride: 2, dilation: 2, activation: 'relu' }, dtype: 'float32' },
  // Outputs of odd lengths.
  { options: { stride: 3, padding: [1, 0, -1, 0] }, dtype: 'float16' },
  {
    options: { stride: [2, 1], padding: [-1, 0, 2, 1], groups: 2, weightLayout: 'OHWI', verify: 'always' },
    dtype: 'float32',
    channels: [4, 6],
  },
];

const layer = fc.constantFrom<0 | 1>(0, 1);
const shape = fc.nat(3);
const larger = fc.constantFrom(false, false, true);
/** Turns of the event loop before a call is aborted: 0 is before it is made, 1 at once after. */
const abortAfter = fc.option(fc.nat(6), { freq: 3, nil: undefined });

/** More sizes than gradients keep what they made for. */
const image = fc.constantFrom(undefined, [2, 2], [3, 2], [4, 3]);
const target = fc.constantFrom<'none' | 'new' | 'given'>('none', 'new', 'given');

const record = <Name extends string, Rest extends object>(
  weight: number,
  act: Name,
  rest: { [K in keyof Rest]: fc.Arbitrary<Rest[K]> },
): { weight: number; arbitrary: fc.Arbitrary<{ act: Name } & Rest> } => ({
  weight,
  arbitrary: fc.record(rest).map((given) => ({ act, ...(given as Rest) })),
});

const acts = fc.oneof(
  // 'absurd' is refused at once; 'gone' is in buffers that were destroyed, which turns out later.
  record(4, 'load', {
    layer,
    seed: fc.nat(3),
    from: fc.constantFrom('host', 'host', 'gpu', 'one buffer', 'absurd', 'gone', 'gone'),
  }),
  record(6, 'forward', {
    layer,
    shape,
    larger,
    abortAfter,
    output: fc.constantFrom('new', 'new', 'given', "the input's", "behind the input's"),
    transfer: fc.option(fc.record({ tensor: fc.constantFrom('input', 'output'), after: fc.nat(5) }), {
      freq: 5,
      nil: undefined,
    }),
  }),
  record(2, 'function', { shape, larger, abortAfter }),
  record(2, 'prepare', { layer, shape, larger, abortAfter }),
  record(5, 'encode', {
    layer,
    shape,
    larger,
    given: fc.boolean(),
    /** Tensors in buffers of their own, with a mark around them, or side by side in buffers that are used again. */
    place: fc.constantFrom('alone', 'marked', 'marked', 'shared', 'shared'),
    chained: fc.constantFrom(false, false, true),
    spoiled: fc.constantFrom(false, false, false, true),
  }),
  record(3, 'submit', {}),
  record(2, 'stateDict', { layer }),
  record(1, 'backward', { shape, abortAfter }),
  record(4, 'gradients', { shape, larger, image, targets: fc.tuple(target, target, target) }),
  record(1, 'prepare gradients', { shape, larger, image }),
  record(1, 'destroy gradients', {}),
  // Only in sequences that may.
  record(1, 'lose', {}),
  // Plans of more shapes than are kept.
  record(1, 'crowd', { layer, seed: fc.nat(32) }),
  record(3, 'wait', { turns: fc.nat(8) }),
  record(3, 'settle', {}),
  record(1, 'destroy', { layer }),
);
export type Act = typeof acts extends fc.Arbitrary<infer One> ? One : never;

export interface Sequence {
  readonly kind: Kind;
  readonly acts: readonly Act[];
  /** Whether the device is lost, at the end if not before. */
  readonly lose: boolean;
}
export const sequences: fc.Arbitrary<Sequence> = fc.record({
  kind: fc.constantFrom(...kinds),
  acts: fc.array(acts, { minLength: 5, maxLength: 60, size: 'max' }),
  lose: fc.constantFrom(false, false, false, false, true),
});
