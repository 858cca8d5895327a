/** Textures as long lists of texels, of four float32 each. */
import { roundUp } from './geometry.ts';

/** Texels in a line of the textures that kernels in registers read: `place` in the shaders. */
export const TEXELS_IN_LINE = 4096;

/** Of a texture that holds so many texels: one line, or whole ones. */
export const textureSize = (texels: number): [width: number, lines: number] => [
  Math.min(texels, TEXELS_IN_LINE),
  Math.ceil(texels / TEXELS_IN_LINE),
];

/** Bytes of a texture that holds so many texels of four float32, in whole lines. */
export const textureBytes = (texels: number): number => 16 * roundUp(texels, TEXELS_IN_LINE);
