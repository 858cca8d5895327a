/**
 * Why a transposed convolution draws a checkerboard: a flat input of ones gives every output the sum of the weights
 * that reach it, and outputs of different phases are reached by different weights. Pairs are (height, width).
 */
export type Size = readonly [height: number, width: number];

/** The part of a layer that decides about its phases. */
export interface Pattern {
  readonly kernel: Size;
  readonly stride: Size;
  readonly dilation: Size;
}

export interface Phase {
  /** (output + padding) mod stride, per axis. */
  readonly phase: Size;
  /** Rows and columns of weights that reach such outputs. */
  readonly taps: Size;
  /** Their sum: the value of such outputs, away from the border, over an input of ones. */
  readonly sum: number;
}

/** The taps of each phase along one axis. */
export function tapsOfPhases(kernel: number, stride: number, dilation: number): number[][] {
  const phases = Array.from({ length: stride }, (): number[] => []);
  for (let tap = 0; tap < kernel; tap++) phases[(tap * dilation) % stride]!.push(tap);
  return phases;
}

/** Every phase of a kernel, row by row. `weights` are one kernel, row-major. */
export function phasesOf({ kernel, stride, dilation }: Pattern, weights: ArrayLike<number>): Phase[] {
  const rows = tapsOfPhases(kernel[0], stride[0], dilation[0]);
  const columns = tapsOfPhases(kernel[1], stride[1], dilation[1]);
  return rows.flatMap((ys, row) =>
    columns.map((xs, column): Phase => {
      let sum = 0;
      for (const y of ys) for (const x of xs) sum += weights[y * kernel[1] + x]!;
      return { phase: [row, column], taps: [ys.length, xs.length], sum };
    }),
  );
}

/** Below this share of their size, differences are rounding of float32 weights. */
const ROUNDING = 1e-5;

/** How far the phases lie apart: (largest − smallest) / mean size of their sums, in percent; 0 for no ripple. */
export function ripple(phases: readonly Phase[]): number {
  const sums = phases.map(({ sum }) => sum);
  const size = sums.reduce((total, sum) => total + Math.abs(sum), 0) / sums.length;
  const span = Math.max(...sums) - Math.min(...sums);
  return span <= ROUNDING * size ? 0 : (100 * span) / size;
}

/** Whether each phase has as many taps as any other, per axis. */
export function isEven({ kernel, stride, dilation }: Pattern): boolean {
  return ([0, 1] as const).every((axis) => {
    const counts = tapsOfPhases(kernel[axis], stride[axis], dilation[axis]).map((taps) => taps.length);
    return new Set(counts).size === 1;
  });
}
