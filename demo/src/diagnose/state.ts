/** What is diagnosed, and how the address says it. */
import { readChoice, readInteger } from '../address.ts';
import { readPair, writePair, type PairField } from '../pair-controls.ts';
import type { Pattern, Size } from './phases.ts';
import { BEGINNINGS, type Beginning } from './weights.ts';

export interface State {
  readonly pattern: Pattern;
  readonly beginning: Beginning;
  /** Of the random weights. */
  readonly seed: number;
}

export type Parameter = keyof Pattern;

export const BOUNDS: Readonly<Record<Parameter, readonly [least: number, most: number]>> = {
  kernel: [1, 9],
  stride: [1, 4],
  dilation: [1, 3],
};

const field = (name: Parameter, label: string, hint: string): PairField<Parameter> => ({
  name,
  label,
  hint,
  bounds: BOUNDS[name],
});

export const FIELDS: readonly PairField<Parameter>[] = [
  field('kernel', 'Kernel', 'rows and columns'),
  field('stride', 'Stride', 'times as large'),
  field('dilation', 'Dilation', 'from weight to weight'),
];

const LAST_SEED = 9999;

/** The case that everyone meets first. */
export const DEFAULT_PATTERN: Pattern = { kernel: [3, 3], stride: [2, 2], dilation: [1, 1] };

export function readState(params: URLSearchParams): State {
  const pair = (name: Parameter): Size => readPair(params, name, BOUNDS[name], DEFAULT_PATTERN[name]);
  return {
    pattern: { kernel: pair('kernel'), stride: pair('stride'), dilation: pair('dilation') },
    beginning: readChoice(params, 'weights', BEGINNINGS, 'ones'),
    seed: readInteger(params, 'seed', [1, LAST_SEED], 1),
  };
}

/** Defaults are left out, so that links stay short. */
export function writeState({ pattern, beginning, seed }: State): Record<string, string | null> {
  return {
    kernel: writePair(pattern.kernel, DEFAULT_PATTERN.kernel),
    stride: writePair(pattern.stride, DEFAULT_PATTERN.stride),
    dilation: writePair(pattern.dilation, DEFAULT_PATTERN.dilation),
    weights: beginning === 'ones' ? null : beginning,
    seed: seed === 1 ? null : String(seed),
  };
}

/** Other random weights. */
export const drawnAgain = (state: State): State => ({ ...state, seed: (state.seed % LAST_SEED) + 1 });
