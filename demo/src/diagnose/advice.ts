/** Which kernel, stride and dilation would give every output equally many weights. */
import { shown } from '../words.ts';
import { isEven, tapsOfPhases, type Pattern, type Size } from './phases.ts';

export interface Advice {
  readonly pattern: Pattern;
  readonly text: string;
}

export interface Bounds {
  readonly kernel: readonly [least: number, most: number];
}

/** Per axis the nearest kernel on each side that is even, the nearest strides, and dilation 1 where it is in the way. */
export function advise(pattern: Pattern, { kernel: [least, most] }: Bounds): Advice[] {
  if (isEven(pattern)) return [];
  const found: Advice[] = [];
  const add = (changes: Partial<Pattern>, text: (changed: Pattern) => string): void => {
    const changed = { ...pattern, ...changes };
    if (isEven(changed)) found.push({ pattern: changed, text: text(changed) });
  };
  const nearest = (axis: 0 | 1, step: 1 | -1): number | undefined => {
    for (let kernel = pattern.kernel[axis]; kernel >= least && kernel <= most; kernel += step) {
      if (evenAxis(kernel, pattern.stride[axis], pattern.dilation[axis])) return kernel;
    }
    return undefined;
  };
  for (const step of [1, -1] as const) {
    const kernel = both((axis) => nearest(axis, step));
    if (kernel)
      add({ kernel }, (changed) => `Kernel ${shown(kernel)}: a multiple of the stride, ${shown(changed.stride)}.`);
  }
  const stride = both((axis) =>
    [...Array(pattern.stride[axis]).keys()]
      .map((less) => pattern.stride[axis] - less)
      .find((value) => evenAxis(pattern.kernel[axis], value, pattern.dilation[axis])),
  );
  if (stride && Math.max(...stride) > 1) add({ stride }, () => `Stride ${shown(stride)}: it divides the kernel.`);
  if (Math.max(...pattern.dilation) > 1) {
    add({ dilation: [1, 1] }, () => 'Dilation 1: the kernel then reaches every phase alike.');
  }
  return found;
}

function evenAxis(kernel: number, stride: number, dilation: number): boolean {
  return new Set(tapsOfPhases(kernel, stride, dilation).map((taps) => taps.length)).size === 1;
}

function both(value: (axis: 0 | 1) => number | undefined): Size | undefined {
  const [height, width] = [value(0), value(1)];
  return height === undefined || width === undefined ? undefined : [height, width];
}
