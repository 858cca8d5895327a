import all from '../../../bench/layers.json';
import type { Layer } from '../../../bench/layer.ts';

export const LAYERS: readonly Layer[] = all as unknown as readonly Layer[];

export const SELECTIONS = ['all', 'few'] as const;
export type Selection = (typeof SELECTIONS)[number];

/** Small ones of different kinds: a last layer, a depthwise one, one of stride 1, a grouped one. */
const FEW: ReadonlySet<string> = new Set(['dcgan-rgb', 'fcn-bilinear', 'grouped', 'stride1']);

export function select(selection: Selection): readonly Layer[] {
  return selection === 'all' ? LAYERS : LAYERS.filter(({ name }) => FEW.has(name));
}

/** The network that a layer is from. */
export function titleOf({ from, name }: Layer): string {
  const title = from ?? name;
  return title.charAt(0).toUpperCase() + title.slice(1);
}

const pair = ([first, second]: readonly [number, number]): string =>
  first === second ? String(first) : `${first} × ${second}`;

/** What a layer does, in a line that breaks between its parts and not within them. */
export function describeLayer({ input, outChannels, kernelSize, stride, groups, dilation }: Layer): string {
  const [batch, channels, height, width] = input;
  return [
    batch > 1 ? `${batch} at a time` : '',
    `${channels} channels of ${height} × ${width} → ${outChannels}`,
    `kernel ${kernelSize.join(' × ')}`,
    `stride ${pair(stride)}`,
    groups > 1 ? `${groups} groups` : '',
    dilation.some((each) => each > 1) ? `dilation ${pair(dilation)}` : '',
  ]
    .filter(Boolean)
    .map((part) => part.replaceAll(' ', '\u00a0'))
    .join(', ');
}
