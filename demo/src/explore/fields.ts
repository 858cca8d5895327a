/** The layer's parameters as the visitor chooses them. */
import type { PairField } from '../pair-controls.ts';
import { BOUNDS, type Parameter } from './layer.ts';

const field = (name: Parameter, label: string, hint: string): PairField<Parameter> => ({
  name,
  label,
  hint,
  bounds: BOUNDS[name],
});

export const FIELDS: readonly PairField<Parameter>[] = [
  field('input', 'Input', 'cells given'),
  field('kernel', 'Kernel', 'weights'),
  field('stride', 'Stride', 'from copy to copy'),
  field('padding', 'Padding', 'cropped off every side'),
  field('outputPadding', 'Output padding', 'at bottom and right'),
  field('dilation', 'Dilation', 'from weight to weight'),
];
