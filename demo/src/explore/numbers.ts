/** The numbers that fill input and kernel, row-major. Whole numbers, so that every sum can be checked in the head. */
import type { Layer, Size } from './layer.ts';

export const FILLINGS = ['counting', 'ones', 'mixed', 'own'] as const;
export type Filling = (typeof FILLINGS)[number];

export interface Numbers {
  readonly input: readonly number[];
  readonly kernel: readonly number[];
}

const area = ([height, width]: Size): number => height * width;
const list = (size: Size, value: (at: number) => number): number[] =>
  Array.from({ length: area(size) }, (_, at) => value(at));

/** From −4 to 4, without a pattern that the eye would find. */
const scattered = (at: number): number => ((at * at * 5 + at * 7 + 3) % 9) - 4;

/** What the visitor's own numbers may be. */
const MOST = 99;

/** Reads numbers in any form of list; what is no whole number within bounds becomes one. */
export function parseNumbers(text: string): number[] {
  const words = text.replaceAll('−', '-').split(/[^\d.-]+/);
  return words.filter(Boolean).map((word) => Math.min(Math.max(Math.round(Number(word)) || 0, -MOST), MOST));
}

/** `own` are the visitor's numbers; where there are too few, zeros follow. */
export function fill(layer: Layer, filling: Filling, own: Numbers = { input: [], kernel: [] }): Numbers {
  switch (filling) {
    case 'counting':
      return { input: list(layer.input, (at) => 1 + (at % 9)), kernel: list(layer.kernel, (at) => 1 + (at % 9)) };
    case 'ones':
      return { input: list(layer.input, () => 1), kernel: list(layer.kernel, () => 1) };
    case 'mixed':
      return { input: list(layer.input, scattered), kernel: list(layer.kernel, (at) => scattered(at + 4)) };
    case 'own':
      return {
        input: list(layer.input, (at) => own.input[at] ?? 0),
        kernel: list(layer.kernel, (at) => own.kernel[at] ?? 0),
      };
  }
}
