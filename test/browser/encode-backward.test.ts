// Gradients of GPU tensors, recorded into a caller's encoder.
import { describe, expect, test } from 'vitest';
import {
  convTranspose2dBackward,
  ConvTranspose2dGradients,
  download,
  upload,
  type BackwardResult,
  type BackwardTargets,
  type ConvTranspose2dOptions,
  type GpuTensor,
  type HostTensor,
} from '../../src/index.ts';
import { convTranspose2dReference } from '../../src/reference.ts';
import { count, device } from '../support/counted-device.ts';
import { inScopes } from '../support/scopes.ts';
import { integerTensor, lengthOf, tensorOf, type Shape } from '../support/tensors.ts';
import { gradientMismatch } from '../support/tolerance.ts';

interface Call {
  readonly input: HostTensor;
  readonly weight: HostTensor;
  readonly gradOutput: HostTensor;
  readonly options: ConvTranspose2dOptions & { forwardOutput?: HostTensor | undefined };
}

/** A call of integers: the weight's numbers come from the seed. */
function callOf(inputShape: Shape, weightShape: Shape, options: ConvTranspose2dOptions = {}, seed = 1): Call {
  const input = integerTensor(inputShape, 11, 3);
  const weight = integerTensor(weightShape, seed, 3);
  const { shape, data } = convTranspose2dReference(input, weight, null, options);
  const forwardOutput = options.activation === 'relu' ? tensorOf(shape, data) : undefined;
  return { input, weight, gradOutput: integerTensor(shape, 13, 3), options: { ...options, forwardOutput } };
}

function gradientsOf({ weight, options: { forwardOutput: _, ...options } }: Call): ConvTranspose2dGradients {
  const [a, b, c, d] = weight.shape as [number, number, number, number];
  const [ins, outs, kernel] = options.weightLayout === 'OHWI' ? ([d, a, [b, c]] as const) : ([a, b, [c, d]] as const);
  return new ConvTranspose2dGradients(ins, outs * (options.groups ?? 1), kernel, { ...options, device });
}

/** On the GPU from an offset on, NaN on both sides. */
function placed(tensor: HostTensor, words: number): GpuTensor {
  if (words === 0) return upload(device, tensor);
  const around = Array.from({ length: words }, () => NaN);
  const { buffer } = upload(
    device,
    tensorOf([2 * words + tensor.data.length], [...around, ...(tensor.data as Float32Array), ...around]),
  );
  return { shape: tensor.shape, buffer, offset: 4 * words };
}

interface Placed {
  readonly gradOutput: GpuTensor;
  readonly input: GpuTensor;
  readonly weight: GpuTensor;
  readonly forwardOutput: GpuTensor | undefined;
}

const operandsOf = ({ gradOutput, input, weight, options }: Call, words = 0): Placed => ({
  gradOutput: placed(gradOutput, words),
  input: placed(input, 2 * words),
  weight: placed(weight, 3 * words),
  forwardOutput: options.forwardOutput && placed(options.forwardOutput, words),
});

const letGo = (...sets: object[]): void => {
  for (const set of sets) for (const one of Object.values(set) as (GpuTensor | undefined)[]) one?.buffer.destroy();
};

const without = (results: { readonly [K in keyof BackwardTargets]: GpuTensor | null }): Partial<
  BackwardResult<GpuTensor>
> => Object.fromEntries(Object.entries(results).filter(([, one]) => one !== null));

const submit = <T>(record: (encoder: GPUCommandEncoder) => T extends PromiseLike<unknown> ? never : T): Promise<T> =>
  inScopes(device, () => {
    const encoder = device.createCommandEncoder({ label: 'test' });
    const result = record(encoder);
    device.queue.submit([encoder.finish()]);
    return result;
  });

async function wrong(
  call: Call,
  { gradInput, gradWeight, gradBias }: BackwardResult<GpuTensor>,
): Promise<string | undefined> {
  const on = { gradInput: await download(device, gradInput), gradWeight: await download(device, gradWeight) };
  return gradientMismatch({ ...on, gradBias: await download(device, gradBias) }, call, { lane: 'exact' });
}

const strided = { stride: 2, padding: 1 } as const;
const kinds = {
  plain: callOf([2, 4, 5, 6], [4, 3, 4, 4], strided),
  relu: callOf([2, 4, 5, 6], [4, 3, 4, 4], { ...strided, activation: 'relu' }),
  'one image': callOf([4, 5, 6], [4, 3, 4, 4], strided),
  groups: callOf([1, 6, 4, 5], [6, 5, 3, 2], { groups: 2, stride: [2, 3], dilation: [3, 2], outputPadding: [1, 2] }),
  'channels last': callOf([2, 7, 6, 9], [5, 3, 3, 9], { ...strided, layout: 'NHWC', weightLayout: 'OHWI' }),
  'an output size': callOf([1, 8, 9, 9], [8, 8, 3, 3], { ...strided, outputSize: 18, activation: 'relu' }),
  'many channels': callOf([2, 64, 8, 8], [64, 32, 4, 4], { ...strided, activation: 'relu' }),
};

describe.each(Object.entries(kinds))('%s', (_, call) => {
  test('without preparation, from offsets, into tensors that are made: exact, and nothing is left', async () => {
    const gradients = gradientsOf(call);
    const operands = operandsOf(call, 64);
    const results = await submit((encoder) => gradients.encodeBackward(encoder, operands));
    expect(await wrong(call, results)).toBeUndefined();
    gradients.destroy();
    letGo(operands, results);
    expect([...count.live.values()]).toEqual([]);
  });

  test('prepared, into one buffer with nothing else of it changed', async () => {
    const gradients = gradientsOf(call);
    await gradients.prepare(call.input.shape);
    const operands = operandsOf(call);
    const shapes = { gradInput: call.input.shape, gradWeight: call.weight.shape, gradBias: [0] };
    shapes.gradBias = [call.gradOutput.shape.at(call.options.layout === 'NHWC' ? -1 : -3)!];
    let end = 64;
    const offsets = Object.values(shapes).map((shape) => {
      const at = end;
      end = Math.ceil((at + lengthOf(shape)) / 64) * 64 + 64;
      return at;
    });
    const arena = upload(device, tensorOf([end], new Float32Array(end).fill(7)));
    const [gradInput, gradWeight, gradBias] = Object.values(shapes).map((shape, at) => ({
      ...{ shape, buffer: arena.buffer, offset: 4 * offsets[at]! },
    })) as [GpuTensor, GpuTensor, GpuTensor];
    const given = { gradInput, gradWeight, gradBias };
    const results = await submit((encoder) => gradients.encodeBackward(encoder, operands, given));
    expect(await wrong(call, results)).toBeUndefined();
    const { data } = await download(device, arena);
    const inside = (at: number): boolean =>
      Object.values(shapes).some((shape, one) => at >= offsets[one]! && at < offsets[one]! + lengthOf(shape));
    expect([...(data as Float32Array)].filter((value, at) => !inside(at) && value !== 7)).toEqual([]);
    gradients.destroy();
    letGo(operands, { arena });
    expect([...count.live.values()]).toEqual([]);
  });
});

test('null: the others alone, and no buffer for it', async () => {
  const call = kinds['many channels'];
  const names = ['gradInput', 'gradWeight', 'gradBias'] as const;
  const operands = operandsOf(call);
  const full = gradientsOf(call);
  const all = await submit((encoder) => full.encodeBackward(encoder, operands));
  full.destroy();
  for (let mask = 0; mask < 8; mask++) {
    const skipped = names.filter((_, bit) => (mask >> bit) & 1);
    const gradients = gradientsOf(call);
    const targets: BackwardTargets = Object.fromEntries(skipped.map((name) => [name, null]));
    const results = await submit((encoder) => gradients.encodeBackward(encoder, operands, targets));
    expect(names.filter((name) => results[name] === null)).toEqual(skipped);
    // Those that were not asked for are of the whole call.
    expect(await wrong(call, { ...all, ...without(results) })).toBeUndefined();
    gradients.destroy();
    letGo(without(results));
  }
  letGo(operands, all);
  expect([...count.live.values()]).toEqual([]);
});

test('two weights in one encoder, and two shapes by turns', async () => {
  const first = callOf([2, 64, 8, 8], [64, 32, 4, 4], strided, 1);
  const calls = [
    first,
    callOf([2, 64, 8, 8], [64, 32, 4, 4], strided, 2),
    callOf([1, 64, 3, 20], [64, 32, 4, 4], strided, 3),
    callOf([2, 64, 8, 8], [64, 32, 4, 4], strided, 4),
    callOf([1, 64, 1, 1], [64, 32, 4, 4], strided, 5),
  ];
  const gradients = gradientsOf(first);
  const operands = calls.map((call) => operandsOf(call));
  const results = await submit((encoder) => operands.map((one) => gradients.encodeBackward(encoder, one)));
  for (const [at, call] of calls.entries()) expect(await wrong(call, results[at]!)).toBeUndefined();
  gradients.destroy();
  letGo(...operands, ...results);
});

test('many shapes: what belongs to those used least is let go', async () => {
  const gradients = gradientsOf(callOf([1, 4, 3, 3], [4, 3, 4, 4], strided));
  const widths = Array.from({ length: 12 }, (_, at) => at + 3);
  for (const width of widths) await gradients.prepare([1, 4, 3, width]);
  const before = count.live.size;
  for (const width of [...widths, 14, 14]) await gradients.prepare([1, 4, 3, width]);
  expect(count.live.size).toBe(before);
  // And where one takes the place of another that is not prepared yet.
  await Promise.all(widths.map((width) => gradients.prepare([1, 4, 3, width])));
  expect(count.live.size).toBe(before);
  gradients.destroy();
  expect([...count.live.values()]).toEqual([]);
});

test('an empty batch: zeros', async () => {
  const call = callOf([0, 4, 5, 6], [4, 3, 4, 4], strided);
  const gradients = gradientsOf(call);
  await gradients.prepare(call.input.shape);
  const operands = operandsOf(call);
  const dirty = upload(device, tensorOf([3], [1, 2, 3]));
  const results = await submit((encoder) => gradients.encodeBackward(encoder, operands, { gradBias: dirty }));
  expect(results.gradBias.buffer).toBe(dirty.buffer);
  expect(await wrong(call, results)).toBeUndefined();
  const fixed = { shape: [3], buffer: device.createBuffer({ label: 'own', size: 12, usage: GPUBufferUsage.STORAGE }) };
  const encoder = device.createCommandEncoder({ label: 'test' });
  expect(() => gradients.encodeBackward(encoder, operands, { gradBias: fixed })).toThrow('gradBias buffer usage');
  gradients.destroy();
  letGo(operands, results, { fixed });
  expect([...count.live.values()]).toEqual([]);
});

test('refusals name the argument, and leave nothing', async () => {
  const call = callOf([1, 4, 5, 6], [4, 3, 4, 4], { ...strided, activation: 'relu' });
  const gradients = gradientsOf(call);
  const operands = operandsOf(call);
  const arena = upload(device, tensorOf([4096], new Float32Array(4096)));
  const before = count.live.size;
  const encoder = device.createCommandEncoder({ label: 'test' });
  const refused = (message: string | RegExp, ...args: unknown[]): void => {
    expect(() => gradients.encodeBackward(...(args as Parameters<typeof gradients.encodeBackward>))).toThrow(
      expect.objectContaining({ code: 'INVALID_ARGUMENT', message: expect.stringMatching(message) as string }),
    );
  };
  refused('encoder', undefined, operands);
  refused('encoder', {}, operands);
  refused('forwardOutput', encoder, undefined);
  refused('operands', encoder, null);
  refused("option 'gradients'", encoder, { ...operands, gradients: 1 });
  refused('gradients', encoder, operands, null);
  refused("option 'bias'", encoder, operands, { bias: operands.weight });
  refused('gradBias', encoder, operands, { gradBias: 3 });
  refused('forwardOutput', encoder, { ...operands, forwardOutput: null });
  refused('forwardOutput', encoder, { ...operands, forwardOutput: undefined });
  refused('gradOutput shape', encoder, { ...operands, gradOutput: operands.input });
  refused('weight dtype', encoder, { ...operands, weight: { ...operands.weight, dtype: 'float16' } });
  refused('weight offset', encoder, { ...operands, weight: { ...operands.weight, offset: 4 } });
  refused(/gradWeight buffer is .*; it must not be an operand's/, encoder, operands, {
    gradWeight: operands.weight,
  });
  refused('gradWeight offset is 256', encoder, operands, {
    gradInput: { ...operands.input, buffer: arena.buffer },
    gradWeight: { ...operands.weight, buffer: arena.buffer, offset: 256 },
  });
  refused('outputSize', encoder, operands, {}, { outputSize: 3 });
  refused('call', encoder, operands, {}, 3);
  const { signal } = new AbortController();
  refused("option 'signal'", encoder, operands, {}, { signal });
  // There is nothing to abort, and nobody should believe that there were.
  const preparing = gradients.prepare(call.input.shape, { signal } as object);
  await expect(preparing).rejects.toMatchObject({ code: 'INVALID_ARGUMENT' });
  const made = (options: object): ConvTranspose2dGradients =>
    new ConvTranspose2dGradients(4, 3, 4, { device, ...options });
  for (const options of [{ dtype: 'float16' }, { device: 'cpu' }, { device: undefined }, { activation: 'gelu' }]) {
    expect(() => made(options)).toThrow(Object.keys(options)[0]);
  }
  expect(count.live.size).toBe(before);
  gradients.destroy();
  expect(() => gradients.encodeBackward(encoder, operands)).toThrow(expect.objectContaining({ code: 'DESTROYED' }));
  await expect(gradients.prepare(call.input.shape)).rejects.toMatchObject({ code: 'DESTROYED' });
  letGo(operands);
});

test('what the device has no room for is refused before anything is made', () => {
  const call = callOf([1, 4, 5, 6], [4, 3, 1, 1], { stride: 4 });
  const operands = operandsOf(call);
  const before = count.live.size;
  // The output's gradient alone is beyond it.
  const maxStorageBufferBindingSize = 4 * call.gradOutput.data.length - 4;
  const limits = new Proxy(device.limits, {
    get: (own, name): unknown =>
      name === 'maxStorageBufferBindingSize' ? maxStorageBufferBindingSize : Reflect.get(own, name, own),
  });
  Object.defineProperty(device, 'limits', { value: limits, configurable: true });
  const gradients = gradientsOf(call);
  const encoder = device.createCommandEncoder({ label: 'test' });
  expect(() => gradients.encodeBackward(encoder, operands)).toThrow(expect.objectContaining({ code: 'UNSUPPORTED' }));
  expect(count.live.size).toBe(before);
  gradients.destroy();
  letGo(operands);
});

test('destroyed at every answer of the GPU to its preparation: rejects, and nothing is left', async () => {
  const call = kinds.plain;
  const [answer, compile] = [device.popErrorScope.bind(device), device.createComputePipelineAsync.bind(device)];
  let answers = 0;
  for (let last = 0; answers >= last; last++) {
    const gradients = gradientsOf(call);
    answers = 0;
    const answered = async <T>(asked: Promise<T>): Promise<T> => {
      const result = await asked;
      if (answers++ === last) gradients.destroy();
      return result;
    };
    device.popErrorScope = () => answered(answer());
    device.createComputePipelineAsync = (descriptor) => answered(compile(descriptor));
    const preparing = gradients.prepare(call.input.shape);
    if (last === 0) gradients.destroy();
    const outcome = await preparing.catch((error: unknown) => error);
    // The last round has an answer less than would destroy.
    if (answers > last || last === 0) expect(outcome).toMatchObject({ code: 'DESTROYED' });
    gradients.destroy();
    expect([...count.live.values()]).toEqual([]);
  }
  expect(answers).toBeGreaterThan(5);
});

test('a texture that is refused fails one preparation: the next call is right', async () => {
  const call = kinds['many channels'];
  const gradients = gradientsOf(call);
  const create = device.createTexture.bind(device);
  device.createTexture = (descriptor) =>
    create(descriptor.label?.includes('the input in texels') ? { ...descriptor, usage: 0 } : descriptor);
  await expect(gradients.prepare(call.input.shape)).rejects.toMatchObject({ code: 'GPU_ERROR' });
  expect([...count.live.values()]).toEqual([]);
  device.createTexture = create;
  const operands = operandsOf(call);
  const results = await submit((encoder) => gradients.encodeBackward(encoder, operands));
  expect(await wrong(call, results)).toBeUndefined();
  gradients.destroy();
  letGo(operands, results);
  expect([...count.live.values()]).toEqual([]);
});

test('from host to host, aborted as the first of the results is there: all are let go', async () => {
  const { gradOutput, input, weight } = kinds.plain;
  const controller = new AbortController();
  const create = device.createBuffer.bind(device);
  device.createBuffer = (descriptor) => {
    const buffer = create(descriptor);
    const map = buffer.mapAsync.bind(buffer);
    buffer.mapAsync = async (mode) => {
      await map(mode);
      // The others answer later.
      if (controller.signal.aborted) await new Promise((done) => setTimeout(done, 20));
      controller.abort('enough');
      return undefined;
    };
    return buffer;
  };
  const { signal } = controller;
  await expect(convTranspose2dBackward(gradOutput, input, weight, { ...strided, device, signal })).rejects.toBe(
    'enough',
  );
  expect([...count.live.values()]).toEqual([]);
});

test('a lost device: says so', async () => {
  const call = callOf([1, 4, 5, 6], [4, 3, 4, 4], strided);
  const gradients = gradientsOf(call);
  const operands = operandsOf(call);
  const encoder = device.createCommandEncoder({ label: 'test' });
  device.destroy();
  await device.lost;
  expect(() => gradients.encodeBackward(encoder, operands)).toThrow(expect.objectContaining({ code: 'DEVICE_LOST' }));
  await expect(gradients.prepare(call.input.shape)).rejects.toMatchObject({ code: 'DEVICE_LOST' });
  gradients.destroy();
});
