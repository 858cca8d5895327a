/** Where a tensor's elements lie in memory. */
import type { Size, Spec } from './options.ts';

/** Elements between neighbours along each dimension of a tensor, and where the tensor's first element is. */
export interface Addresses {
  readonly base: number;
  readonly batch: number;
  readonly group: number;
  readonly channel: number;
  readonly row: number;
  readonly column: number;
}

/** Of a tensor in the layout of the spec. */
export function addressesOf(spec: Spec, channels: number, [height, width]: Size): Addresses {
  const channelsLast = spec.layout === 'NHWC';
  const channel = channelsLast ? 1 : height * width;
  const column = channelsLast ? channels : 1;
  return {
    base: 0,
    batch: channels * height * width,
    group: (channels / spec.groups) * channel,
    channel,
    row: width * column,
    column,
  };
}
