/** What a layer's weights may begin as, one kernel of each. */
import { bilinearWeight, ConvTranspose2d, icnrWeight, type HostTensor } from 'webgpu-conv-transpose2d';
import type { Pattern, Size } from './phases.ts';

export const BEGINNINGS = ['ones', 'random', 'icnr', 'bilinear'] as const;
export type Beginning = (typeof BEGINNINGS)[number];

/** One kernel, row-major. */
export async function drawWeights(
  { kernel, stride }: Pattern,
  beginning: Beginning,
  seed: number,
): Promise<readonly number[]> {
  switch (beginning) {
    case 'ones':
      return new Array<number>(kernel[0] * kernel[1]).fill(1);
    case 'random':
      return numbers(await randomWeight(kernel, seed));
    case 'icnr':
      return numbers(icnrWeight(1, 1, kernel, { stride, seed }).data);
    case 'bilinear':
      return numbers(bilinearWeight(1, kernel).data);
  }
}

/** As a new layer draws them: torch.nn.ConvTranspose2d's distribution. */
async function randomWeight(kernel: Size, seed: number): Promise<HostTensor['data']> {
  const layer = new ConvTranspose2d(1, 1, kernel, { bias: false, seed });
  const { weight } = await layer.stateDict();
  layer.destroy();
  return weight.data;
}

const numbers = (data: HostTensor['data']): number[] => Array.from(data);
