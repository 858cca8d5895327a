/** Hostile calls for fast-check: legal, nearly legal, enormous and absurd options and tensors, mixed. */
import fc from 'fast-check';
import {
  ConvTranspose2d,
  ConvTranspose2dError,
  outputShape,
  type ConvTranspose2dOptions,
  type Device,
  type HostTensor,
  type Padding,
} from '../../src/index.ts';
import { lengthOf } from './tensors.ts';

/** Calls whose tensors are larger than this are planned, not made. */
const MOST_BYTES = 2 ** 21;
const MOST_FLOPS = 1e7;

/** What a call may take beyond its tensors: index tables, lists of phases, a page of WebAssembly memory, copies. */
export const OVERHEAD: number = 64 * 2 ** 20;
/** Longer than this is a hang. In milliseconds. */
export const PATIENCE = 10_000;

const large = fc.constantFrom(
  ...[255, 256, 4096, 65535, 65536, 2 ** 19, 2 ** 19 + 1, 2 ** 20, 2 ** 24, 2 ** 26, 2 ** 30, 2 ** 31 - 2, 2 ** 31 - 1],
);
const small = fc.integer({ min: 1, max: 7 });
/** A legal number of whatever it is, most of the time. */
const extent = fc.oneof({ weight: 19, arbitrary: small }, { weight: 1, arbitrary: large });

/** Values that are no sizes at all, and some that print as if they were. */
const absurd: fc.Arbitrary<unknown> = fc.oneof(
  fc.constantFrom<unknown>(0, -0, -1, 1.5, NaN, Infinity, -Infinity, 2 ** 31, 2 ** 32, 2 ** 53, 1e308, -(2 ** 31)),
  fc.constantFrom<unknown>(
    null,
    undefined,
    '',
    '2',
    'NCHW',
    true,
    false,
    2n,
    Symbol('size'),
    Object('relu'),
    /x/,
    new Date(0),
  ),
  fc.constantFrom<unknown>(
    () => 2,
    { valueOf: () => 2 },
    { length: 2, 0: 1, 1: 1 },
    {
      toString(): string {
        throw new Error('not to be shown');
      },
    },
    Object.create(null),
    new Proxy([2, 2], {}),
    new Float32Array(2),
    new Array(3),
  ),
  fc.array(fc.oneof(small, large, fc.constantFrom<unknown>(-1, 0, NaN, '1', null, [1])), { maxLength: 6 }),
  fc.anything({ maxDepth: 2 }),
);

/** Undefined, 19 times of 20. */
const rarely = <T>(arbitrary: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight: 19, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary });
const pair = fc.oneof(extent, fc.tuple(extent, extent));
const side = fc.oneof(
  { weight: 20, arbitrary: fc.integer({ min: -4, max: 2 }) },
  { weight: 1, arbitrary: large },
  { weight: 1, arbitrary: large.map((n) => -n) },
);

const options = fc.record(
  {
    stride: pair,
    padding: fc.oneof(
      { weight: 3, arbitrary: fc.constant<Padding>(0) },
      { weight: 1, arbitrary: fc.nat(2) },
      { weight: 1, arbitrary: fc.tuple(fc.nat(2), fc.nat(2)) },
      { weight: 2, arbitrary: fc.tuple(side, side, side, side) },
    ),
    outputPadding: rarely(fc.oneof(fc.nat(3), large)),
    outputSize: rarely(pair),
    groups: fc.constantFrom(1, 1, 1, 1, 1, 2, 2, 3, 5, 65536),
    dilation: pair,
    layout: fc.constantFrom('NCHW', 'NHWC'),
    weightLayout: fc.constantFrom('IOHW', 'HWOI', 'OHWI'),
    activation: fc.constantFrom('none', 'relu', 'gelu', 'leaky-relu'),
    negativeSlope: fc.constantFrom(0.01, -1, 1e38),
    dtype: fc.constantFrom('float32', 'float16'),
    bias: fc.boolean(),
    seed: fc.nat(),
  },
  { requiredKeys: ['seed'] },
);

/** A call, with some of its values replaced by absurd ones. */
export interface HostileCall {
  readonly channels: readonly [unknown, unknown];
  readonly kernelSize: unknown;
  readonly options: unknown;
  readonly inputShape: unknown;
  readonly input: unknown;
  readonly call: unknown;
  readonly onGpu: boolean;
}

const names = [
  'stride',
  'padding',
  'outputPadding',
  'outputSize',
  'groups',
  'dilation',
  'layout',
  'weightLayout',
  'activation',
  'negativeSlope',
  'dtype',
  'bias',
  'seed',
  'device',
  'strides',
  '__proto__',
  'constructor',
] as const;
const places = [
  ...names,
  ...names,
  'in',
  'out',
  'kernelSize',
  'options',
  'inputShape',
  'input',
  'call',
  'extent',
  'data',
] as const;

export const hostileCalls: fc.Arbitrary<HostileCall> = fc
  .record({
    options,
    perGroup: fc.tuple(extent, extent),
    kernelSize: pair,
    batch: fc.constantFrom(undefined, 0, 1, 2, 2 ** 31 - 1),
    image: fc.tuple(extent, extent),
    absurdities: fc.oneof(
      fc.constant<[(typeof places)[number], unknown, number][]>([]),
      fc.array(fc.tuple(fc.constantFrom(...places), absurd, fc.nat(3)), { minLength: 1, maxLength: 2 }),
    ),
    onGpu: fc.boolean(),
    outputSize: rarely(pair),
  })
  .map(({ options: legal, perGroup: [ins, outs], kernelSize, batch, image, absurdities, onGpu, outputSize }) => {
    const { groups = 1, layout = 'NCHW', dtype = 'float32' } = legal;
    const wrong = new Map<string, readonly [unknown, number]>(
      absurdities.map(([place, value, at]) => [place, [value, at]]),
    );
    const instead = (place: string, value: unknown): unknown => (wrong.has(place) ? wrong.get(place)![0] : value);
    const channels = [ins * groups, outs * groups] as const;
    const inputShape: unknown[] = layout === 'NCHW' ? [channels[0], ...image] : [...image, channels[0]];
    if (batch !== undefined) inputShape.unshift(batch);
    const replaced = wrong.get('extent');
    if (replaced !== undefined) inputShape[replaced[1]] = replaced[0];
    const given: Record<string, unknown> = { ...legal };
    for (const name of names)
      if (wrong.has(name)) Object.defineProperty(given, name, { value: wrong.get(name)![0], enumerable: true });
    return {
      channels: [instead('in', channels[0]), instead('out', channels[1])],
      kernelSize: instead('kernelSize', kernelSize),
      options: instead('options', given),
      inputShape: instead('inputShape', inputShape),
      input: instead('input', { shape: inputShape, dtype, data: instead('data', dataOf(inputShape, dtype)) }),
      call: instead('call', outputSize === undefined ? undefined : { outputSize }),
      onGpu,
    };
  });

/** Data that fits, where it is small; else what a liar would send. */
function dataOf(shape: readonly unknown[], dtype: string): Float32Array | Uint16Array {
  const length = lengthOf(shape.map((size) => (typeof size === 'number' ? size : 0)));
  const fits = Number.isSafeInteger(length) && length >= 0 && 4 * length <= MOST_BYTES ? length : 16;
  return dtype === 'float16' ? new Uint16Array(fits) : new Float32Array(fits);
}

/** What a call came to: 'made' or 'planned', or the code of the error that refused it. */
export type Verdict = string;

/**
 * Makes a call on a device, by every door, as far as it is small.
 * @returns the verdict, and the bytes that its tensors take
 * @throws whatever is no ConvTranspose2dError, or an absurdity that was taken for a result
 */
export async function attempt(hostile: HostileCall, device: Device): Promise<{ verdict: Verdict; bytes: number }> {
  let bytes = 0;
  let layer: ConvTranspose2d | undefined;
  try {
    const { channels, kernelSize, input, inputShape, call } = hostile;
    const given = (hostile.options ?? undefined) as Record<string, unknown> | undefined;
    const withDevice =
      typeof given === 'object' && !('device' in given) && !Array.isArray(given) ? { ...given, device } : given;
    const Layer = ConvTranspose2d as unknown as new (...parameters: unknown[]) => ConvTranspose2d;
    layer = new Layer(channels[0], channels[1], kernelSize, withDevice);
    const shape = layer.outputShape(inputShape as number[], call as object);
    expectShape(shape);
    const plan = layer.plan(inputShape as number[], call as object);
    expectShape(plan.outputShape);
    bytes = plan.bytes.input + plan.bytes.output + plan.bytes.weight + plan.bytes.scratch;
    if (!(bytes <= MOST_BYTES && plan.usefulFlops <= MOST_FLOPS)) return { verdict: 'planned', bytes };
    const output = await layer.forward(input as HostTensor, call as object);
    if (output.data.length !== lengthOf(shape)) throw new Error(`${output.data.length} numbers for ${shape.join('×')}`);
    return { verdict: 'made', bytes };
  } catch (error) {
    if (error instanceof ConvTranspose2dError) {
      if (error.message.length > 2000)
        throw new Error(`a message of ${error.message.length} letters`, { cause: error });
      return { verdict: error.code, bytes };
    }
    throw error;
  } finally {
    layer?.destroy();
  }
}

/** The function without a layer, on the same absurdities. */
export function attemptShape({ kernelSize, channels, inputShape, options: given }: HostileCall): void {
  const weightShape = [
    channels[0],
    channels[1],
    ...(Array.isArray(kernelSize) ? (kernelSize as unknown[]) : [kernelSize, kernelSize]),
  ];
  try {
    expectShape(outputShape(inputShape as number[], weightShape as number[], given as ConvTranspose2dOptions));
  } catch (error) {
    if (!(error instanceof ConvTranspose2dError)) throw error;
  }
}

function expectShape(shape: readonly number[]): void {
  if ((shape.length === 3 || shape.length === 4) && shape.every((size) => Number.isInteger(size) && size >= 0)) return;
  throw new Error(`${String(shape)} is no shape`);
}
