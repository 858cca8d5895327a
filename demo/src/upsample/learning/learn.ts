/** Learning a kernel from a picture: fetched when it is first asked for. */
import type { Device } from 'webgpu-conv-transpose2d';
import { paddingOf, withPlane, type UpsampleLayer } from '../kernels.ts';
import type { Pixels } from '../pixels.ts';
import { keepFlat } from './keep-flat.ts';
import { makeLearner } from './learner.ts';
import { examplesOf } from './patches.ts';

const STEPS = 120;
/** Every how many steps it is seen how well it goes. */
const EVERY = 4;
const RATE = 0.012;

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
}

/**
 * Has the layer's kernel learn to undo the shrinking of a picture.
 * @throws Error in plain words when the picture is too small; the signal's reason when it is aborted
 */
export async function learn({ pixels, layer, device, signal, onProgress }: Lesson): Promise<Learned> {
  const examples = await examplesOf(pixels, layer, signal);
  const { kernel, stride, weight } = layer;
  const plane = Float32Array.from({ length: kernel * kernel }, (_, i) => Number(weight.data[i]));
  const start = { shape: [1, 1, kernel, kernel], data: plane };
  const learner = await makeLearner(start, { stride, padding: paddingOf(layer) }, examples, device, signal);
  const judge = async (): Promise<Errors> => {
    const errors = { learning: await learner.error('learning'), held: await learner.error('held') };
    signal.throwIfAborted();
    return errors;
  };
  try {
    const before = await judge();
    onProgress(0, STEPS, before);
    for (let step = 0; step < STEPS; step++) {
      // Slower towards the end, to settle.
      await learner.step(RATE * (1 - step / STEPS));
      signal.throwIfAborted();
      if ((step + 1) % EVERY === 0) onProgress(step + 1, STEPS, await judge());
    }
    const flat = keepFlat(await learner.plane(), kernel, stride);
    learner.replace(flat);
    const after = await judge();
    return { layer: withPlane(layer, flat), before, after, held: examples.held.count };
  } finally {
    learner.destroy();
  }
}
