/** How a layer of this shape is made so that it begins with these weights. */
import type { Pattern, Size } from './phases.ts';
import type { Beginning } from './weights.ts';

const pair = ([height, width]: Size): string => (height === width ? String(height) : `[${height}, ${width}]`);

export function codeFor({ kernel, stride, dilation }: Pattern, beginning: Beginning): string {
  const dilated = dilation[0] === 1 && dilation[1] === 1 ? '' : `, dilation: ${pair(dilation)}`;
  const options = `stride: ${pair(stride)}${dilated}`;
  switch (beginning) {
    case 'ones':
      return `const weight = {
  shape: [1, 1, ${kernel[0]}, ${kernel[1]}],
  data: new Float32Array(${kernel[0] * kernel[1]}).fill(1),
};
const output = await convTranspose2d(input, weight, null, {
  ${options},
});`;
    case 'random':
      return `const layer = new ConvTranspose2d(inChannels, outChannels, ${pair(kernel)}, {
  ${options},
});`;
    case 'icnr':
      return `const layer = new ConvTranspose2d(inChannels, outChannels, ${pair(kernel)}, {
  ${options}, bias: false,
});
layer.loadStateDict({
  weight: icnrWeight(inChannels, outChannels, ${pair(kernel)}, { stride: ${pair(stride)} }),
});`;
    case 'bilinear':
      return `const layer = new ConvTranspose2d(channels, channels, ${pair(kernel)}, {
  ${options}, groups: channels, bias: false,
});
layer.loadStateDict({ weight: bilinearWeight(channels, ${pair(kernel)}) });`;
  }
}
