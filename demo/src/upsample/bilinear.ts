/** Factors that the view offers. */
export const SCALES = [2, 3, 4] as const;
export type Scale = (typeof SCALES)[number];

/** Input pixels beyond an output's own that can reach it, on each side. */
export const HALO = 1;

export interface BilinearLayer {
  readonly kernel: number;
  readonly stride: number;
  readonly padding: number;
}

/**
 * The transposed convolution that enlarges by `scale` with bilinear weights, for an input that carries a halo of one
 * pixel on every side. Bilinear upsampling itself crops ceil((scale − 1) / 2); the halo's own output, `scale` rows and
 * columns a side, is cropped as well, so that n + 2 pixels in give exactly scale · n out.
 */
export function bilinearLayer(scale: Scale): BilinearLayer {
  return {
    kernel: 2 * scale - (scale % 2),
    stride: scale,
    padding: Math.ceil((scale - 1) / 2) + HALO * scale,
  };
}
