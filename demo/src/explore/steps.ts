/** Three ways to see the same sum, as a story of steps that can be counted, played and scrubbed. */
import { shown } from '../words.ts';
import { axisOf, kernelExtent, outputSize, type Layer, type Size } from './layer.ts';
import { zerosAfter, zerosBefore } from './zero-insertion.ts';

export const WAYS = ['spread', 'collect', 'zeros'] as const;
export type Way = (typeof WAYS)[number];

export type Step =
  /** Nothing has happened yet. */
  | { readonly kind: 'given' }
  /** This input has just added its copy of the kernel, after those before it. */
  | { readonly kind: 'input'; readonly at: Size; readonly done: number }
  | { readonly kind: 'cropped' }
  | { readonly kind: 'inserted' | 'padded' | 'turned' }
  /** This output is computed, after those before it. */
  | { readonly kind: 'output'; readonly at: Size; readonly done: number };

const PREPARATIONS = ['given', 'inserted', 'padded', 'turned'] as const;

const area = ([height, width]: Size): number => height * width;
const place = (at: number, [, width]: Size): Size => [Math.floor(at / width), at % width];

export function stepCount(way: Way, layer: Layer): number {
  switch (way) {
    case 'spread':
      return area(layer.input) + 2;
    case 'collect':
      return area(outputSize(layer));
    case 'zeros':
      return PREPARATIONS.length + area(outputSize(layer));
  }
}

export function stepAt(way: Way, layer: Layer, index: number): Step {
  const at = Math.min(Math.max(index, 0), stepCount(way, layer) - 1);
  if (way === 'spread') {
    if (at === 0) return { kind: 'given' };
    if (at > area(layer.input)) return { kind: 'cropped' };
    return { kind: 'input', at: place(at - 1, layer.input), done: at };
  }
  const first = firstOutputStep(way);
  const preparation = PREPARATIONS[at];
  if (at < first && preparation) return { kind: preparation };
  return { kind: 'output', at: place(at - first, outputSize(layer)), done: at - first + 1 };
}

/** The step of the first output, for ways that go from output to output. */
const firstOutputStep = (way: 'collect' | 'zeros'): number => (way === 'zeros' ? PREPARATIONS.length : 0);

/** The step that shows an output, if the way goes from output to output. */
export function stepOfOutput(way: Way, layer: Layer, [y, x]: Size): number | undefined {
  return way === 'spread' ? undefined : firstOutputStep(way) + y * outputSize(layer)[1] + x;
}

/** The step that shows an input, if the way goes from input to input. */
export function stepOfInput(way: Way, layer: Layer, [y, x]: Size): number | undefined {
  return way === 'spread' ? 1 + y * layer.input[1] + x : undefined;
}

/** What happens in a step, in plain words. */
export function sentence(way: Way, layer: Layer, step: Step): string {
  switch (step.kind) {
    case 'given':
      return way === 'spread'
        ? 'The input and the kernel, a small grid of weights. Every input will leave a copy of the kernel in the result.'
        : 'The input as it is given.';
    case 'input':
      return (
        `Input ${where(step.at)} multiplies the kernel, and the products are added to the result, ` +
        `${distance(layer.stride)} from its neighbour’s copy.`
      );
    case 'cropped':
      return cropSentence(layer);
    case 'inserted':
      return isAll(layer.stride, 1)
        ? 'Zeros would go between the inputs, but with stride 1 there is no room between them.'
        : `Between neighbouring inputs come stride − 1 zeros: ${shown([layer.stride[0] - 1, layer.stride[1] - 1])}.`;
    case 'padded':
      return paddedSentence(layer);
    case 'turned':
      return 'The kernel is turned by 180°: its last weight comes first.';
    case 'output':
      return way === 'zeros'
        ? `The turned kernel lies over the zeros and inputs; the products under it add up to output ${where(step.at)}.`
        : `Output ${where(step.at)} collects the inputs that reach it, each times one weight of the kernel.`;
  }
}

const where = ([y, x]: Size): string => `(${y}, ${x})`;
const isAll = (size: Size, value: number): boolean => size[0] === value && size[1] === value;
const cells = (count: number): string => `${count} ${count === 1 ? 'cell' : 'cells'}`;

function distance([down, across]: Size): string {
  return down === across ? cells(down) : `${cells(down)} down or ${cells(across)} across`;
}

function cropSentence({ padding, outputPadding }: Layer): string {
  const crop = isAll(padding, 0)
    ? 'There is no padding, so nothing is cropped'
    : `Padding crops ${shown(padding)} off every side`;
  const extra = isAll(outputPadding, 0)
    ? ''
    : `, and output padding keeps ${shown(outputPadding)} more at the bottom and the right`;
  return `${crop}${extra}. What is left is the output.`;
}

function paddedSentence(layer: Layer): string {
  const axes = [axisOf(layer, 0), axisOf(layer, 1)] as const;
  const before: Size = [zerosBefore(axes[0]), zerosBefore(axes[1])];
  const after: Size = [zerosAfter(axes[0]), zerosAfter(axes[1])];
  const reach: Size = [kernelExtent(axes[0]) - 1, kernelExtent(axes[1]) - 1];
  const same = before[0] === after[0] && before[1] === after[1];
  const verb = before.some((count) => count < 0) ? ' (a negative number crops)' : '';
  const ends = same ? 'on every side' : `at the top and left, ${shown(after)} at the bottom and right`;
  return `Around them come the kernel’s reach less the padding, ${shown(reach)} − ${shown(layer.padding)}: zeros, ${shown(before)} ${ends}${verb}.`;
}
