/** Layers worth seeing. */
import type { Layer, Size } from './layer.ts';

const both = (value: number): Size => [value, value];

export const EXAMPLES: readonly { readonly name: string; readonly layer: Layer }[] = [
  {
    name: 'Twice as large',
    layer: {
      input: both(3),
      kernel: both(4),
      stride: both(2),
      padding: both(1),
      outputPadding: both(0),
      dilation: both(1),
    },
  },
  {
    name: 'Stride 1',
    layer: {
      input: both(2),
      kernel: both(3),
      stride: both(1),
      padding: both(0),
      outputPadding: both(0),
      dilation: both(1),
    },
  },
  {
    name: 'Gaps',
    layer: {
      input: both(3),
      kernel: both(2),
      stride: both(3),
      padding: both(0),
      outputPadding: both(0),
      dilation: both(1),
    },
  },
  {
    name: 'Dilation',
    layer: {
      input: both(3),
      kernel: both(3),
      stride: both(1),
      padding: both(0),
      outputPadding: both(0),
      dilation: both(2),
    },
  },
];
