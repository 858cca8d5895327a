/** Options that both directions share: how a tensor's elements represent pixels. */
import { invalid, shown } from '../invalid.ts';
import type { Layout } from '../types.ts';

/** One number for every channel, or one for each. */
export type PerChannel = number | readonly number[];

/** How elements stand for pixels, as torchvision's `Normalize` has it: element = (pixel − mean) / std, pixels from 0 to 1. */
export interface PixelOptions {
  /** Of the tensor. Default 'NCHW'. */
  layout?: Layout | undefined;
  /** Default 0. With `std`, 0.5 and 0.5 make elements from −1 to 1; 0 and 1/255 from 0 to 255. */
  mean?: PerChannel | undefined;
  /** Default 1. */
  std?: PerChannel | undefined;
}

/** The numbers of channels that stand for grey, RGB and RGBA. */
export type Channels = 1 | 3 | 4;

/** Where one picture lies in a tensor, in elements. */
export interface Pixels {
  readonly height: number;
  readonly width: number;
  readonly channels: Channels;
  readonly channelStride: number;
  readonly rowStride: number;
  readonly columnStride: number;
  readonly base: number;
  /** Of four channels, those that a tensor lacks too. */
  readonly mean: readonly number[];
  readonly deviation: readonly number[];
}

/** The names of `PixelOptions`. */
export const pixelOptionNames: readonly string[] = ['layout', 'mean', 'std'] satisfies (keyof PixelOptions)[];

/** One of some values; the first where it is left out. */
export function choice<T extends string | number | boolean>(
  name: string,
  value: unknown,
  allowed: readonly [T, ...T[]],
): T {
  if (value === undefined) return allowed[0];
  const found = allowed.find((candidate) => candidate === value);
  if (found === undefined) throw invalid(name, value, `it must be ${allowed.map(shown).join(', ')} or left out`);
  return found;
}

/** The shape of one picture in a layout. */
export const shapeOf = (layout: Layout, channels: number, height: number, width: number): number[] =>
  layout === 'NCHW' ? [1, channels, height, width] : [1, height, width, channels];

/** The place of picture `index` in a tensor of three or four dimensions, and how its elements stand for pixels. */
export function pixelsOf(shape: readonly number[], index: number, options: PixelOptions): Pixels {
  const layout = choice('layout', options.layout, ['NCHW', 'NHWC']);
  const [batch = 0, ...picture] = shape.length === 3 ? [1, ...shape] : shape;
  const [channels, height, width] = layout === 'NCHW' ? picture : [picture[2], picture[0], picture[1]];
  const known = [1, 3, 4].find((count) => count === channels) as Channels | undefined;
  const isPicture = shape.length === 3 || shape.length === 4;
  if (!isPicture || known === undefined || height === undefined || width === undefined || height * width === 0) {
    throw invalid(
      'tensor shape',
      shape,
      `it must be (${layout.split('').join(', ')}), N left out or not, and C 1, 3 or 4`,
    );
  }
  if (!Number.isInteger(index) || index < 0 || index >= batch) {
    throw invalid('index', index, `it must be an integer from 0 to ${batch - 1}`);
  }
  const [channelStride, rowStride, columnStride] =
    layout === 'NCHW' ? [height * width, width, 1] : [1, width * known, known];
  const std = perChannel('std', options.std, known, 1);
  if (std.includes(0)) throw invalid('std', options.std, 'it must not be 0');
  return {
    height,
    width,
    channels: known,
    channelStride,
    rowStride,
    columnStride,
    base: index * known * height * width,
    mean: perChannel('mean', options.mean, known, 0),
    deviation: std,
  };
}

function perChannel(name: string, value: PerChannel | undefined, channels: Channels, fallback: number): number[] {
  const given: readonly unknown[] = Array.isArray(value) ? value : Array<unknown>(channels).fill(value ?? fallback);
  if (given.length !== channels || !given.every((number) => Number.isFinite(number))) {
    throw invalid(name, value, `it must be a finite number, or one for each of ${channels} channels`);
  }
  // A grey element stands for all channels.
  return Array.from({ length: 4 }, (_, c) => (channels === 1 ? given[0] : (given[c] ?? fallback)) as number);
}
