import type { Spec } from './options.ts';

/** Elements between neighbours of the weight tensor, in its own layout: input channel, output channel, row, column. */
export function weightStrides(spec: Spec): { i: number; o: number; h: number; w: number } {
  const [kh, kw] = spec.kernelSize;
  const ins = spec.inChannels;
  const outs = spec.outChannels / spec.groups;
  if (spec.weightLayout === 'IOHW') return { i: outs * kh * kw, o: kh * kw, h: kw, w: 1 };
  if (spec.weightLayout === 'HWOI') return { i: 1, o: ins, h: kw * outs * ins, w: outs * ins };
  return { i: 1, o: kh * kw * ins, h: kw * ins, w: ins };
}
