/** A small layer that is exact on integers, for tests of what layers do beside computing. */
import { ConvTranspose2d, type HostTensor } from '../../src/index.ts';
import { integerTensor } from './tensors.ts';
import { mismatch } from './tolerance.ts';

export const weight: HostTensor = integerTensor([2, 3, 3, 3], 2);
export const bias: HostTensor = integerTensor([3], 3);
export const input: HostTensor = integerTensor([1, 2, 4, 4], 1);
export const options = { stride: 2, padding: 1 } as const;

export function layerOn(where: GPUDevice | 'cpu'): ConvTranspose2d {
  const layer = new ConvTranspose2d(2, 3, 3, { ...options, device: where });
  layer.loadStateDict({ weight, bias });
  return layer;
}

/** What is wrong with the layer's output for an input. */
export const wrong = (output: HostTensor, of: HostTensor): string | undefined =>
  mismatch(output, { input: of, weight, bias, options }, { lane: 'exact' });

/** What a promise rejects with. */
export const errorOf = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => undefined,
    (error: unknown) => error,
  );
