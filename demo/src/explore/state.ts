/** What is shown, and how the address says it. */
import { readChoice, readInteger } from '../address.ts';
import { readPair, writePair } from '../pair-controls.ts';
import { LIBRARIES, type Library } from './code.ts';
import { BOUNDS, outputSize, PARAMETERS, settle, type Layer, type Parameter, type Size } from './layer.ts';
import { fill, FILLINGS, parseNumbers, type Filling, type Numbers } from './numbers.ts';
import { stepAt, stepCount, stepOfOutput, WAYS, type Way } from './steps.ts';

export interface State {
  readonly layer: Layer;
  readonly filling: Filling;
  /** The visitor's own numbers, shown if `filling` is 'own'. */
  readonly own: Numbers;
  readonly way: Way;
  readonly step: number;
  /** The output that is looked at. */
  readonly output: Size;
  readonly library: Library;
}

export const DEFAULT_LAYER: Layer = {
  input: [3, 3],
  kernel: [3, 3],
  stride: [2, 2],
  padding: [1, 1],
  outputPadding: [1, 1],
  dilation: [1, 1],
};

/** The state that a layer starts with: something to see in the middle of the story. */
export function start(
  layer: Layer,
  { filling, own, way, library }: Pick<State, 'filling' | 'own' | 'way' | 'library'>,
): State {
  const [height, width] = outputSize(layer);
  const output: Size = [Math.floor(height / 2), Math.floor(width / 2)];
  const step = stepOfOutput(way, layer, output) ?? Math.floor(stepCount(way, layer) / 2);
  return { layer, filling, own, way, step, output, library };
}

/** Another step; a step that shows an output also looks at it. */
export function atStep(state: State, step: number): State {
  const { way, layer } = state;
  const within = Math.min(Math.max(step, 0), stepCount(way, layer) - 1);
  const shown = stepAt(way, layer, within);
  return { ...state, step: within, output: shown.kind === 'output' ? shown.at : state.output };
}

/** Looks at an output; a story that goes from output to output goes to it. */
export function atOutput(state: State, output: Size): State {
  return { ...state, output, step: stepOfOutput(state.way, state.layer, output) ?? state.step };
}

/** Other numbers; one's own begin as what is shown. */
export function withFilling(state: State, filling: Filling): State {
  const own = filling === 'own' ? fill(state.layer, state.filling, state.own) : state.own;
  return { ...state, filling, own };
}

/** Another way to see the same; it begins where the output that is looked at is made. */
export function inWay(state: State, way: Way): State {
  return way === 'spread' ? start(state.layer, { ...state, way }) : atOutput({ ...state, way }, state.output);
}

export function readState(params: URLSearchParams): State {
  const asked = Object.fromEntries(
    PARAMETERS.map((name) => [name, readPair(params, name, BOUNDS[name], DEFAULT_LAYER[name])]),
  ) as Record<Parameter, Size>;
  const { layer } = settle(asked);
  const initial = start(layer, {
    filling: readChoice(params, 'numbers', FILLINGS, 'counting'),
    own: { input: parseNumbers(params.get('x') ?? ''), kernel: parseNumbers(params.get('w') ?? '') },
    way: readChoice(params, 'way', WAYS, 'spread'),
    library: readChoice(params, 'library', LIBRARIES, 'ours'),
  });
  const [height, width] = outputSize(layer);
  const [y, x] = readPair(params, 'output', [0, 99], initial.output);
  const looked = y < height && x < width ? atOutput(initial, [y, x]) : initial;
  return atStep(looked, readInteger(params, 'step', [0, stepCount(looked.way, layer) - 1], looked.step));
}

/** Defaults are left out, so that links stay short. */
export function writeState(state: State): Record<string, string | null> {
  const initial = start(state.layer, state);
  const isOwn = state.filling === 'own';
  const numbers = fill(state.layer, state.filling, state.own);
  const other = <T extends string>(value: T, otherwise: T): string | null => (value === otherwise ? null : value);
  return {
    ...Object.fromEntries(PARAMETERS.map((name) => [name, writePair(state.layer[name], DEFAULT_LAYER[name])])),
    numbers: other(state.filling, 'counting'),
    x: isOwn ? numbers.input.join('_') : null,
    w: isOwn ? numbers.kernel.join('_') : null,
    way: other(state.way, 'spread'),
    library: other(state.library, 'ours'),
    output: writePair(state.output, initial.output),
    step: state.step === atOutput(initial, state.output).step ? null : String(state.step),
  };
}
