/** Copies of the kernel along one row of the output, below each other, and how many weights each output gets. */
import type { GridLook } from '../grid.ts';

const COPIES = 4;

export interface Overlap {
  readonly look: GridLook;
  /** Weights per output, away from the ends. */
  readonly counts: readonly number[];
}

export function overlapOf(kernel: number, stride: number, dilation: number): Overlap {
  const length = (COPIES - 1) * stride + dilation * (kernel - 1) + 1;
  const tapOf = (copy: number, place: number): number | undefined => {
    const offset = place - copy * stride;
    const tap = offset / dilation;
    return offset >= 0 && offset % dilation === 0 && tap < kernel ? tap : undefined;
  };
  const counts = Array.from({ length }, (_, place) => {
    let count = 0;
    for (let copy = 0; copy < COPIES; copy++) if (tapOf(copy, place) !== undefined) count++;
    return count;
  });
  const most = Math.max(...counts);
  const look: GridLook = {
    size: [COPIES + 1, length],
    cell: (y, x) => {
      if (y < COPIES)
        return tapOf(y, x) === undefined ? undefined : { fill: y % 2 === 0 ? '--kernel' : '--kernel-other' };
      const count = counts[x]!;
      return { text: String(count), fill: count === most ? '--output' : '--well' };
    },
  };
  return { look, counts };
}
