// Inputs chosen to break it: each gives its error before any GPU work, the same on both devices, and leaves the layer and
// the device usable.
import { beforeAll, describe, expect, test } from 'vitest';
import {
  ConvTranspose2d,
  ConvTranspose2dError,
  convTranspose2d,
  download,
  outputShape,
  upload,
  type ConvTranspose2dErrorCode,
  type GpuTensor,
  type HostTensor,
} from '../../src/index.ts';
import { testDevice } from '../support/gpu.ts';
import { inScopes } from '../support/scopes.ts';
import { integerTensor } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

const input = integerTensor([1, 2, 4, 4], 1);
const weight = integerTensor([2, 3, 3, 3], 2);
const bias = integerTensor([3], 3);

let device: GPUDevice;
beforeAll(async () => {
  device = await testDevice();
});

/** What a call throws or rejects with. */
async function errorOf(call: () => unknown): Promise<unknown> {
  try {
    await call();
  } catch (error) {
    return error;
  }
  return undefined;
}

async function expectRefused(
  call: () => unknown,
  names: string,
  code: ConvTranspose2dErrorCode = 'INVALID_ARGUMENT',
): Promise<void> {
  const error = await errorOf(call);
  expect(error).toBeInstanceOf(ConvTranspose2dError);
  const { code: actual, message } = error as ConvTranspose2dError;
  expect([actual, message]).toEqual([code, expect.stringMatching(new RegExp(`^${names}`))]);
}

async function expectUsable(layer: ConvTranspose2d): Promise<void> {
  layer.loadStateDict({ weight, bias });
  expect(mismatch(await layer.forward(input), { input, weight, bias }, { lane: 'exact' })).toBeUndefined();
}

const shown = (value: unknown): string =>
  JSON.stringify(value, (_, inner: unknown) =>
    typeof inner === 'number' && !Number.isFinite(inner) ? String(inner) : inner,
  );

const numbers = [0, -1, 1.5, NaN, 'two', null, 2 ** 31];
const words = [0, -1, 1.5, NaN, '', null, 2 ** 31, 'Nchw', ['NCHW'], {}];
const pairs = [[1], [1, 1, 1], [1, 0], [1.5, 1], [1, NaN], ['1', 1], [1, null], [2 ** 31, 1], [], {}];
const fromZero = [...numbers.slice(1), [1], [1, 1, 1], [-1, 0], [1, 1.5], [NaN, 1], [null, 1], [1, 2 ** 31], [], {}];

/** Values that each option refuses. */
const wrongOptions: Readonly<Record<string, readonly unknown[]>> = {
  stride: [...numbers, ...pairs],
  dilation: [...numbers, ...pairs],
  outputSize: [...numbers, ...pairs, 5, 7, [6, 5]],
  padding: [
    ...fromZero,
    [1, 1, 1, 1, 1],
    [0, 0, 0, 1.5],
    [0, NaN, 0, 0],
    [0, 0, '0', 0],
    [0, 0, 0, -(2 ** 31)],
    [3, 0, 3, 0],
  ],
  outputPadding: [...fromZero, 1, [0, 1]],
  groups: [...numbers, 3, [1], {}],
  layout: words,
  weightLayout: [...words, 'OIHW', 'HWIO'],
  activation: [...words, 'swish', 'ReLU'],
  negativeSlope: [NaN, Infinity, -Infinity, '0.1', null, [], {}],
  device: [0, 1.5, NaN, '', 'gpu', null, {}, []],
  verify: words,
  onMismatch: [0, 'console.warn', null, {}],
  strides: [1, null, 'two'],
};

/** What a message begins with: the option, or the size that a padding leaves. */
const blame = (name: string): string => `(${name}|option '${name}'${name === 'padding' ? '|output size' : ''})`;

describe('options', () => {
  const rows = Object.entries(wrongOptions).flatMap(([name, values]) =>
    values.map((value) => [name, shown(value), value] as const),
  );
  test.each(rows)('%s: %s', async (name, _, value) => {
    for (const where of ['cpu', device] as const) {
      const options = { device: where, [name]: value };
      await expectRefused(() => convTranspose2d(input, weight, bias, options), blame(name));
      await expectRefused(() => outputShape(input.shape, weight.shape, options), blame(name));
      await expectRefused(() => new ConvTranspose2d(2, 3, 3, options).outputShape(input.shape), blame(name));
    }
    expect((await convTranspose2d(input, weight, bias, { device })).shape).toEqual([1, 3, 6, 6]);
  });

  test.each(Object.entries({ bias: [0, 'yes', null], dtype: words, seed: [-1, 1.5, NaN, 'x', null, 2 ** 31] }))(
    "the constructor's own: %s",
    async (name, values) => {
      for (const value of values) await expectRefused(() => new ConvTranspose2d(2, 3, 3, { [name]: value }), name);
    },
  );

  test('channels and kernel', async () => {
    const make = ConvTranspose2d as unknown as new (...parameters: unknown[]) => ConvTranspose2d;
    for (const value of [...numbers, undefined, [2]]) {
      await expectRefused(() => new make(value, 3, 3), 'inChannels');
      await expectRefused(() => new make(2, value, 3), 'outChannels');
    }
    for (const value of [...numbers, ...pairs, undefined])
      await expectRefused(() => new make(2, 3, value), 'kernelSize');
    for (const options of [null, 3, 'same', []]) await expectRefused(() => new make(2, 3, 3, options), 'options');
  });

  test('undefined is as if left out', async () => {
    const nothing = Object.fromEntries(Object.keys(wrongOptions).map((name) => [name, undefined]));
    delete nothing['strides'];
    expect(outputShape(input.shape, weight.shape, nothing)).toEqual([1, 3, 6, 6]);
    const result = await convTranspose2d(input, weight, null, {
      ...nothing,
      device: 'cpu',
      signal: undefined,
      output: undefined,
    });
    expect(result.shape).toEqual([1, 3, 6, 6]);
  });

  test('outputSize out of range: the message names both ends', async () => {
    const options = { stride: 3, padding: [1, 0, 0, 2], outputSize: [14, 9] } as const;
    await expectRefused(
      () => outputShape(input.shape, weight.shape, options),
      'outputSize is \\[14, 9\\].*\\[11, 10\\].*\\[13, 12\\]',
    );
  });
});

const f32 = (length: number): Float32Array => new Float32Array(length);
const wrongTensors: [string, unknown][] = [
  ['null', null],
  ['a number', 3],
  ['an array', [1, 2, 3]],
  ['no data', { shape: [1, 2, 4, 4] }],
  ['no shape', { data: f32(32) }],
  ['short data', { shape: [1, 2, 4, 4], data: f32(31) }],
  ['long data', { shape: [1, 2, 4, 4], data: f32(33) }],
  ['rank 2', { shape: [4, 8], data: f32(32) }],
  ['rank 5', { shape: [1, 1, 2, 4, 4], data: f32(32) }],
  ['rank 0', { shape: [], data: f32(1) }],
  ['a fraction', { shape: [1, 2, 4, 4.5], data: f32(36) }],
  ['a negative size', { shape: [1, -2, -4, 4], data: f32(32) }],
  ['NaN in the shape', { shape: [1, 2, 4, NaN], data: f32(32) }],
  ['a string in the shape', { shape: [1, 2, 4, '4'], data: f32(32) }],
  ['a shape of 2³¹', { shape: [2 ** 31, 2, 4, 4], data: f32(32) }],
  ['other channels', { shape: [1, 5, 4, 4], data: f32(80) }],
  ['zero height', { shape: [1, 2, 0, 4], data: f32(0) }],
  ['zero width', { shape: [1, 2, 4, 0], data: f32(0) }],
  ['doubles', { shape: [1, 2, 4, 4], data: new Float64Array(32) }],
  ['integers', { shape: [1, 2, 4, 4], data: new Int32Array(32) }],
  ['plain numbers', { shape: [1, 2, 4, 4], data: Array.from({ length: 32 }, () => 0) }],
  ['bits without a dtype', { shape: [1, 2, 4, 4], data: new Uint16Array(32) }],
  ['another dtype', { shape: [1, 2, 4, 4], data: new Uint16Array(32), dtype: 'float16' }],
  ['a dtype that the data is not', { shape: [1, 2, 4, 4], data: f32(32), dtype: 'float16' }],
  ['an unknown dtype', { shape: [1, 2, 4, 4], data: f32(32), dtype: 'float64' }],
  ['a buffer', { shape: [1, 2, 4, 4], data: new ArrayBuffer(128) }],
];

describe('host tensors', () => {
  test.each(wrongTensors)('input: %s', async (_, tensor) => {
    for (const where of ['cpu', device] as const) {
      await expectRefused(() => convTranspose2d(tensor as HostTensor, weight, bias, { device: where }), 'input');
      const layer = new ConvTranspose2d(2, 3, 3, { device: where });
      await expectRefused(() => layer.forward(tensor as HostTensor), 'input');
      await expectUsable(layer);
      layer.destroy();
    }
  });

  const size = 2 * 3 * 3 * 3;
  test.each<[string, string, unknown]>([
    ['short', 'weight', { shape: [2, 3, 3, 3], data: f32(size - 1) }],
    ['long', 'weight', { shape: [2, 3, 3, 3], data: f32(size + 1) }],
    ['rank 3', 'weight', { shape: [6, 3, 3], data: f32(size) }],
    ['zero kernel', 'weight', { shape: [2, 3, 0, 3], data: f32(0) }],
    ['missing', 'weight', undefined],
    ['null', 'weight', null],
    ['doubles', 'weight', { shape: [2, 3, 3, 3], data: new Float64Array(size) }],
    ['float16', '(input|bias|weight)', { shape: [2, 3, 3, 3], data: new Uint16Array(size), dtype: 'float16' }],
    ['other channels', '(input|weight)', { shape: [3, 3, 3, 3], data: f32(81) }],
  ])('weight: %s', async (_, names, tensor) => {
    for (const where of ['cpu', device] as const) {
      await expectRefused(() => convTranspose2d(input, tensor as HostTensor, bias, { device: where }), names);
      const layer = new ConvTranspose2d(2, 3, 3, { device: where });
      await expectRefused(() => {
        layer.loadStateDict({ weight: tensor as HostTensor, bias });
      }, 'weight');
      await expectUsable(layer);
      layer.destroy();
    }
  });

  test.each<[string, unknown]>([
    ['short', { shape: [2], data: f32(2) }],
    ['short data', { shape: [3], data: f32(2) }],
    ['2-D', { shape: [1, 3], data: f32(3) }],
    ['float16', { shape: [3], data: new Uint16Array(3), dtype: 'float16' }],
    ['a number', 3],
  ])('bias: %s', async (_, tensor) => {
    for (const where of ['cpu', device] as const) {
      await expectRefused(() => convTranspose2d(input, weight, tensor as HostTensor, { device: where }), 'bias');
      const layer = new ConvTranspose2d(2, 3, 3, { device: where });
      await expectRefused(() => {
        layer.loadStateDict({ weight, bias: tensor as HostTensor });
      }, 'bias');
      await expectUsable(layer);
      layer.destroy();
    }
  });

  test('a bias that the layer has not, and one that it has and does not get', async () => {
    await expectRefused(() => {
      new ConvTranspose2d(2, 3, 3, { bias: false }).loadStateDict({ weight, bias });
    }, 'bias');
    await expectRefused(() => {
      new ConvTranspose2d(2, 3, 3).loadStateDict({ weight });
    }, 'bias');
    const layer = new ConvTranspose2d(2, 3, 3) as unknown as { loadStateDict(state: unknown): void };
    for (const state of [null, undefined, 3])
      await expectRefused(() => {
        layer.loadStateDict(state);
      }, 'state');
  });

  test('output of a call', async () => {
    for (const where of ['cpu', device] as const) {
      const layer = new ConvTranspose2d(2, 3, 3, { device: where });
      const outputs: unknown[] = [
        null,
        { shape: [1, 3, 6, 5], data: f32(90) },
        { shape: [3, 6, 6], data: f32(108) },
        { shape: [1, 3, 6, 6], data: f32(107) },
        { shape: [1, 3, 6, 6], data: new Uint16Array(108), dtype: 'float16' },
      ];
      for (const output of outputs) {
        await expectRefused(() => layer.forward(input, { output: output as HostTensor }), 'output');
      }
      await expectUsable(layer);
      layer.destroy();
    }
  });

  test('what a call says', async () => {
    const layer = new ConvTranspose2d(2, 3, 3, { device: 'cpu' });
    const forward = (call: unknown): Promise<HostTensor> => layer.forward(input, call as object);
    for (const outputSize of wrongOptions['outputSize']!) {
      await expectRefused(() => forward({ outputSize }), 'outputSize');
      await expectRefused(() => layer.plan(input.shape, { outputSize: outputSize as number }), 'outputSize');
      await expectRefused(() => layer.outputShape(input.shape, { outputSize: outputSize as number }), 'outputSize');
    }
    for (const signal of [null, 3, 'now', {}, { throwIfAborted: 1 }, { throwIfAborted: () => 1 }])
      await expectRefused(() => forward({ signal }), 'signal');
    for (const call of [null, 3, 'now', []]) await expectRefused(() => forward(call), 'call');
    await expectRefused(() => forward({ outputsize: 6 }), "option 'outputsize'");
    await expectUsable(layer);
  });
});

describe('GPU tensors', () => {
  const shape = [1, 2, 4, 4];
  const { STORAGE, COPY_SRC, COPY_DST } = GPUBufferUsage;
  const buffer = (size: number, usage = STORAGE | COPY_SRC | COPY_DST, label = 'test buffer'): GPUBuffer =>
    device.createBuffer({ label, size, usage });

  async function withLayer(
    check: (layer: ConvTranspose2d, encode: (from: unknown, to?: unknown) => unknown) => Promise<void>,
  ): Promise<void> {
    const layer = new ConvTranspose2d(2, 3, 3, { device });
    await layer.prepare(shape);
    const encoder = device.createCommandEncoder({ label: 'refused' });
    await check(layer, (from, to) => layer.encode(encoder, from as GpuTensor, to as GpuTensor));
    await inScopes(device, () => {
      device.queue.submit([encoder.finish()]);
    });
    await expectUsable(layer);
    layer.destroy();
  }

  test('what they lack is said in words', () =>
    withLayer(async (layer, encode) => {
      const copied = { shape, buffer: buffer(128, COPY_SRC | COPY_DST) };
      const whole = { shape, buffer: buffer(128) };
      const calls: [() => unknown, string][] = [
        [() => encode(copied), 'input buffer usage is .COPY_SRC . COPY_DST.; to be bound it must include STORAGE'],
        [() => encode(input), 'input is { shape, data }; it must be a GPU tensor .+, as upload gives'],
        [() => layer.forward(whole as never), 'input is { shape, buffer }; .+; one on the GPU is for encode'],
        [() => encode(whole, { shape, buffer: buffer(128) }), 'output shape is .1, 2, 4, 4.; it must be .1, 3, 6, 6.'],
      ];
      for (const [call, message] of calls) await expectRefused(call, message);
      copied.buffer.destroy();
      whole.buffer.destroy();
    }));

  test('inputs of encode', () =>
    withLayer(async (_, encode) => {
      const whole = buffer(128);
      const wrong: unknown[] = [
        null,
        3,
        input,
        { shape },
        { shape, buffer: null },
        { shape, buffer: {} },
        { shape, buffer: buffer(124) },
        { shape, buffer: buffer(128, COPY_SRC) },
        { shape: [1, 3, 4, 4], buffer: buffer(192) },
        { shape: [2, 16], buffer: whole },
        { shape: [1, 2, 0, 4], buffer: whole },
        { shape: 'big', buffer: whole },
        { shape, buffer: whole, dtype: 'float16' },
        { shape, buffer: whole, dtype: 'float64' },
        { shape, buffer: whole, offset: 256 },
        ...[4, 100, -256, 1.5, NaN, '0', null, 2 ** 31].map((offset) => ({ shape, buffer: buffer(1024), offset })),
      ];
      for (const tensor of wrong) await expectRefused(() => encode(tensor), 'input');
    }));

  test('outputs of encode', () =>
    withLayer(async (_, encode) => {
      const from = upload(device, input);
      const to = [1, 3, 6, 6];
      const wrong: unknown[] = [
        null,
        { shape: [1, 3, 6, 5], buffer: buffer(432) },
        { shape: to, buffer: buffer(428) },
        { shape: to, buffer: buffer(432, COPY_SRC) },
        { shape: to, buffer: buffer(432), dtype: 'float16' },
        { shape: to, buffer: buffer(1024), offset: 4 },
      ];
      for (const tensor of wrong) await expectRefused(() => encode(from, tensor), 'output');
      const both = buffer(1024);
      await expectRefused(() => encode({ shape, buffer: both }, { shape: to, buffer: both, offset: 256 }), 'output');
    }));

  test('encoders, devices and weights', async () => {
    await withLayer(async (layer) => {
      const from = upload(device, input);
      for (const encoder of [null, undefined, {}, 3]) {
        await expectRefused(() => layer.encode(encoder as GPUCommandEncoder, from), 'encoder');
      }
      const small = { shape: [2, 3, 3, 3], buffer: buffer(212) };
      await expectRefused(() => {
        layer.loadStateDict({ weight: small, bias: upload(device, bias) });
      }, 'weight');
      await expectRefused(() => {
        layer.loadStateDict({ weight: upload(device, weight), bias });
      }, 'bias');
    });
    const encoder = device.createCommandEncoder({ label: 'unused' });
    const from = upload(device, input);
    const onCpu = new ConvTranspose2d(2, 3, 3, { device: 'cpu' });
    await expectRefused(() => onCpu.encode(encoder, from), 'encode', 'UNSUPPORTED');
    await expectUsable(onCpu);
    const unknown = new ConvTranspose2d(2, 3, 3);
    await expectRefused(() => unknown.encode(encoder, from), 'encode', 'NOT_READY');
  });

  test('uploads and downloads', async () => {
    for (const [, tensor] of wrongTensors.filter(([name]) => /data|doubles|plain|null|bits|dtype that/.test(name))) {
      await expectRefused(() => upload(device, tensor as HostTensor), 'tensor');
    }
    await expectRefused(() => download(device, { shape, buffer: buffer(128, STORAGE) }), 'tensor buffer usage');
    await expectRefused(() => download(device, { shape, buffer: buffer(64) }), 'tensor buffer size');
    const gone = upload(device, input);
    gone.buffer.destroy();
    await expectRefused(() => download(device, gone), '', 'GPU_ERROR');
    const there = await download(device, upload(device, input));
    expect([...(there.data as Float32Array)]).toEqual([...(input.data as Float32Array)]);
  });

  test("destroyed buffers and those of another device: WebGPU's own error reaches the caller's scopes, the layer goes on", async () => {
    const other = await testDevice({ label: 'another device' });
    const layer = new ConvTranspose2d(2, 3, 3, { device });
    await layer.prepare(shape);
    const foreign = upload(other, input);
    const gone = upload(device, input);
    gone.buffer.destroy();
    for (const from of [foreign, gone]) {
      const record = (): void => {
        const encoder = device.createCommandEncoder({ label: 'wrong buffer' });
        layer.encode(encoder, from);
        device.queue.submit([encoder.finish()]);
      };
      await expect(inScopes(device, record)).rejects.toThrow();
      await expectUsable(layer);
    }
    await expectRefused(() => download(device, foreign), '', 'GPU_ERROR');
    layer.destroy();
  });
});

describe('life', () => {
  test('a destroyed layer', async () => {
    for (const where of ['cpu', device] as const) {
      const layer = new ConvTranspose2d(2, 3, 3, { device: where });
      layer.destroy();
      layer.destroy();
      await expectRefused(() => layer.forward(input), '', 'DESTROYED');
      await expectRefused(() => layer.prepare(input.shape), '', 'DESTROYED');
      await expectRefused(() => layer.plan(input.shape), '', 'DESTROYED');
      await expectRefused(() => layer.stateDict(), '', 'DESTROYED');
      await expectRefused(
        () => {
          layer.loadStateDict({ weight, bias });
        },
        '',
        'DESTROYED',
      );
    }
  });

  test("an aborted call rejects with the signal's reason", async () => {
    const reason = new Error('changed my mind');
    for (const where of ['cpu', device] as const) {
      const layer = new ConvTranspose2d(2, 3, 3, { device: where });
      expect(await errorOf(() => layer.forward(input, { signal: AbortSignal.abort(reason) }))).toBe(reason);
      const later = new AbortController();
      const call = errorOf(() => layer.forward(input, { signal: later.signal }));
      later.abort(reason);
      expect(await call).toBe(reason);
      const plain = convTranspose2d(input, weight, bias, { device: where, signal: AbortSignal.abort() });
      expect(await errorOf(() => plain)).toMatchObject({ name: 'AbortError' });
      await expectUsable(layer);
      layer.destroy();
    }
  });
});

test('the verdict is the same on every device, to the word', async () => {
  const calls: ((where: GPUDevice | 'cpu') => unknown)[] = [
    (where) => convTranspose2d(input, weight, bias, { device: where, stride: 0 }),
    (where) => convTranspose2d(input, weight, bias, { device: where, padding: 3 }),
    (where) => convTranspose2d(input, weight, bias, { device: where, outputPadding: 1 }),
    (where) => convTranspose2d(input, weight, bias, { device: where, outputSize: 9 }),
    (where) => convTranspose2d(input, weight, bias, { device: where, groups: 2 }),
    (where) => convTranspose2d(input, weight, bias, { device: where, stride: 2 ** 31 - 1 }),
    (where) => convTranspose2d(integerTensor([1, 3, 4, 4], 1), weight, bias, { device: where }),
    (where) => convTranspose2d(input, weight, integerTensor([2], 1), { device: where }),
  ];
  for (const call of calls) {
    const [cpu, gpu] = [await errorOf(() => call('cpu')), await errorOf(() => call(device))];
    expect(cpu).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect((gpu as Error).message).toBe((cpu as Error).message);
  }
});
