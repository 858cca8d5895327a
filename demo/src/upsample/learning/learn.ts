/** Learning a kernel from a picture: fetched when it is first asked for. */
import type { Device } from 'webgpu-conv-transpose2d';
import { paddingOf, withPlane, type UpsampleLayer } from '../kernels.ts';
import type { Pixels } from '../pixels.ts';
import { keepFlat } from './keep-flat.ts';
import { makeLearner } from './learner.ts';
import { examplesOf, patchOf, type Examples } from './patches.ts';

const STEPS = 100;
/** Every how many steps it is seen how well it goes. */
const EVERY = 4;
const RATE = 0.012;
/** Pixels that are not shown of the patch that is: what is left fits three times beside each other. */
const MARGIN = 2;

/** Mean squared errors, where white is one more than black. */
export interface Errors {
  /** On patches that are learned from. */
  readonly learning: number;
  /** On patches that are held back. */
  readonly held: number;
}

export interface Lesson {
  readonly pixels: Pixels;
  /** Where learning starts. */
  readonly layer: UpsampleLayer;
  readonly device: Device;
  readonly signal: AbortSignal;
  readonly onProgress: (step: number, steps: number, errors: Errors) => void;
}

export interface Learned {
  readonly layer: UpsampleLayer;
  readonly before: Errors;
  readonly after: Errors;
  /** How many patches were held back. */
  readonly held: number;
  /** One of them, that which the layer made least of as it started. */
  readonly patch: Readonly<Record<'before' | 'after' | 'original', Pixels>>;
}

/**
 * Has the layer's kernel learn to undo the shrinking of a picture.
 * @throws Error in plain words when the picture is too small; the signal's reason when it is aborted
 */
export async function learn({ pixels, layer, device, signal, onProgress }: Lesson): Promise<Learned> {
  const examples = await examplesOf(pixels, layer, signal);
  const { held } = examples;
  const { kernel, stride, weight } = layer;
  const plane = Float32Array.from({ length: kernel * kernel }, (_, i) => Number(weight.data[i]));
  const start = { shape: [1, 1, kernel, kernel], data: plane };
  const learner = await makeLearner(start, { stride, padding: paddingOf(layer) }, examples, device, signal);
  const judge = async (): Promise<{ errors: Errors; outputs: Float32Array }> => {
    const learning = average(errorsOf(await learner.outputs('learning'), examples.learning));
    const outputs = await learner.outputs('held');
    signal.throwIfAborted();
    return { errors: { learning, held: average(errorsOf(outputs, held)) }, outputs };
  };
  try {
    const before = await judge();
    onProgress(0, STEPS, before.errors);
    for (let step = 0; step < STEPS; step++) {
      // Slower towards the end, to settle.
      await learner.step(RATE * (1 - step / STEPS));
      signal.throwIfAborted();
      if ((step + 1) % EVERY === 0) onProgress(step + 1, STEPS, (await judge()).errors);
    }
    const flat = keepFlat(await learner.plane(), kernel, stride);
    learner.replace(flat);
    const after = await judge();
    const errors = errorsOf(before.outputs, held);
    const worst = errors.indexOf(Math.max(...errors));
    const patch = (values: Float32Array): Pixels => patchOf(values, held, worst, MARGIN);
    return {
      layer: withPlane(layer, flat),
      before: before.errors,
      after: after.errors,
      held: held.count,
      patch: { before: patch(before.outputs), after: patch(after.outputs), original: patch(held.large.data) },
    };
  } finally {
    learner.destroy();
  }
}

/** The mean squared error of each patch. */
function errorsOf(outputs: Float32Array, { count, large: { data } }: Examples): number[] {
  const size = data.length / count;
  return Array.from({ length: count }, (_, patch) => {
    let sum = 0;
    for (let i = patch * size; i < (patch + 1) * size; i++) sum += ((outputs[i] ?? NaN) - (data[i] ?? NaN)) ** 2;
    return sum / size;
  });
}

const average = (values: readonly number[]): number => values.reduce((sum, value) => sum + value, 0) / values.length;
