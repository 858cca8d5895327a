/** Textures as long lists of texels, of four float32 each. */

/** Texels in a line of the textures that kernels in registers read, as their shaders say, too. */
export const TEXELS_IN_LINE = 4096;

/** What so many texels take of a texture: the beginning of a line, or whole ones. */
export const textureSize = (texels: number): [width: number, lines: number] => [
  Math.min(texels, TEXELS_IN_LINE),
  Math.ceil(texels / TEXELS_IN_LINE),
];

/** Lines of a texture that holds so many texels: a power of two, so that coordinates are exact as shares of it. */
export const textureLines = (texels: number): number => 2 ** Math.ceil(Math.log2(Math.max(1, texels / TEXELS_IN_LINE)));

/** Bytes of a texture that holds so many texels; none, if there are none. */
export const textureBytes = (texels: number): number => (texels === 0 ? 0 : 16 * TEXELS_IN_LINE * textureLines(texels));
