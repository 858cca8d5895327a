/** What a state amounts to. */
import { layerMatrix, productColumns, transpose, type Columns, type SparseMatrix } from './matrix.ts';
import { fill, type Numbers } from './numbers.ts';
import type { State } from './state.ts';
import { stepAt, type Step } from './steps.ts';
import { gather, outputs, type Gathered } from './sums.ts';

/** More outputs than this make no matrix that can be looked at. */
export const MOST_ROWS = 144;

/** What a layer and its numbers amount to, computed once. */
export interface Model {
  readonly numbers: Numbers;
  readonly outputs: readonly number[];
  readonly columns: Columns;
  /** Of small layers alone. */
  readonly matrix: { readonly plain: SparseMatrix; readonly transposed: SparseMatrix } | undefined;
}

export function modelOf({ layer, filling, own }: State): Model {
  const numbers = fill(layer, filling, own);
  const values = outputs(layer, numbers);
  const plain = values.length <= MOST_ROWS ? layerMatrix(layer, numbers) : undefined;
  return {
    numbers,
    outputs: values,
    columns: productColumns(layer, numbers),
    matrix: plain && { plain, transposed: transpose(plain) },
  };
}

/** One moment of the story. */
export interface Scene {
  readonly state: State;
  readonly model: Model;
  readonly step: Step;
  /** What enters the output that is looked at. */
  readonly gathered: Gathered;
}

export function sceneOf(state: State, model: Model): Scene {
  const { way, layer, step, output } = state;
  return { state, model, step: stepAt(way, layer, step), gathered: gather(layer, model.numbers, output) };
}
