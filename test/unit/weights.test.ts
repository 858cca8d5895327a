// Reading .safetensors files: values, progress, and how damaged ones are refused.
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import fc from 'fast-check';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { loadLayer } from '../../examples/weights.ts';
import { ConvTranspose2d, ConvTranspose2dError } from '../../src/index.ts';
import { convTranspose2dReference } from '../../src/reference.ts';
import { toFloat32Array } from '../../src/tensors.ts';
import { readSafetensors, type Checkpoint } from '../../src/weights/index.ts';
import { float16Value } from '../support/tensors.ts';
import { fileOf, safetensors, type FileTensor } from '../support/safetensors.ts';

const f32 = (name: string, shape: readonly number[], values: readonly number[]): FileTensor => ({
  name,
  dtype: 'F32',
  shape,
  bytes: new Uint8Array(Float32Array.from(values).buffer),
});
const bits16 = (name: string, dtype: string, bits: readonly number[]): FileTensor => ({
  name,
  dtype,
  shape: [bits.length],
  bytes: new Uint8Array(Uint16Array.from(bits).buffer),
});

/** What reading is refused with. */
async function refusal(source: Parameters<typeof readSafetensors>[0]): Promise<string> {
  const error = await readSafetensors(source).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(ConvTranspose2dError);
  expect((error as ConvTranspose2dError).code).toBe('INVALID_ARGUMENT');
  return (error as ConvTranspose2dError).message;
}

describe('values', () => {
  // 1, −2, 65504 (float16's greatest), 2⁻²⁴ (its least), infinity.
  const halves = [0x3c00, 0xc000, 0x7bff, 0x0001, 0x7c00];
  // 1, −2, 3.140625, 2⁻¹³³ (its least), infinity.
  const brains = [0x3f80, 0xc000, 0x4049, 0x0001, 0x7f80];
  const file = safetensors(
    [
      // An odd count of bytes, so that what follows is not aligned.
      { name: 'flags', dtype: 'BOOL', shape: [3], bytes: Uint8Array.of(1, 0, 1) },
      f32('layer.weight', [1, 1, 1, 2], [0.1, -3]),
      bits16('layer.bias', 'F16', halves),
      bits16('brain', 'BF16', brains),
      { name: 'steps', dtype: 'I64', shape: [], bytes: new Uint8Array(8) },
      f32('empty', [0, 4], []),
    ],
    { format: 'pt' },
  );
  let checkpoint: Checkpoint;
  beforeAll(async () => {
    checkpoint = await readSafetensors(file);
  });

  test('what is in the file', () => {
    expect(checkpoint.metadata.get('format')).toBe('pt');
    expect([...checkpoint.tensors.keys()].sort()).toEqual(
      ['flags', 'layer.weight', 'layer.bias', 'brain', 'steps', 'empty'].sort(),
    );
    expect(checkpoint.tensors.get('steps')).toEqual({ dtype: 'I64', shape: [] });
  });

  test('float32, float16 and bfloat16 as float32', () => {
    expect(checkpoint.tensor('layer.weight')).toEqual({ shape: [1, 1, 1, 2], data: Float32Array.of(0.1, -3) });
    expect(checkpoint.tensor('layer.bias').data).toEqual(Float32Array.of(1, -2, 65504, 2 ** -24, Infinity));
    expect(checkpoint.tensor('brain').data).toEqual(Float32Array.of(1, -2, 3.140625, 2 ** -133, Infinity));
    expect(checkpoint.tensor('empty')).toEqual({ shape: [0, 4], data: new Float32Array(0) });
  });

  test('every float16 and every bfloat16', async () => {
    const all = Array.from({ length: 65536 }, (_, bits) => bits);
    const read = await readSafetensors(safetensors([bits16('half', 'F16', all), bits16('brain', 'BF16', all)]));
    const view = new DataView(new ArrayBuffer(4));
    const brain = (bits: number): number => {
      view.setUint16(0, bits);
      return view.getFloat32(0);
    };
    expect(read.tensor('half').data).toEqual(Float32Array.from(all, float16Value));
    expect(read.tensor('brain').data).toEqual(Float32Array.from(all, brain));
  });

  test('and as float16, rounded where it must be', () => {
    const bits = (name: string): number[] => {
      const { data, dtype } = checkpoint.tensor(name, 'float16');
      expect(dtype).toBe('float16');
      return [...new Uint16Array(data.buffer, data.byteOffset, data.length)];
    };
    expect(bits('layer.bias')).toEqual(halves);
    expect(bits('layer.weight')).toEqual([0x2e66, 0xc200]);
    expect(bits('brain')).toEqual([0x3c00, 0xc000, 0x4248, 0x0000, 0x7c00]);
  });

  test('a tensor is the caller’s own', () => {
    toFloat32Array(checkpoint.tensor('layer.weight')).fill(7);
    expect(checkpoint.tensor('layer.weight').data[1]).toBe(-3);
  });

  test('a layer loads what a state dict holds', async () => {
    const weight = f32('up.weight', [1, 1, 2, 2], [1, 2, 3, 4]);
    const read = await readSafetensors(safetensors([weight, f32('up.bias', [1], [10])]));
    const layer = new ConvTranspose2d(1, 1, 2, { stride: 2, device: 'cpu' });
    const state = read.stateDict('up');
    layer.loadStateDict(state);
    const input = { shape: [1, 1, 1, 2], data: Float32Array.of(1, -1) };
    const output = await layer.forward(input);
    const expected = convTranspose2dReference(input, state.weight, state.bias, { stride: 2 });
    expect(Array.from(output.data as Float32Array)).toEqual(Array.from(expected.data));
    layer.destroy();
    const alone = await readSafetensors(safetensors([{ ...weight, name: 'weight' }]));
    expect(alone.stateDict('')).toEqual({ weight: state.weight });
  });

  test('a tensor that is not there, or not of floats, is refused by name', () => {
    expect(() => checkpoint.tensor('layer.wieght')).toThrow(
      "name is 'layer.wieght'; the file has the tensors ['flags', 'layer.weight',",
    );
    expect(() => checkpoint.stateDict('flags')).toThrow("name is 'flags.weight'");
    expect(() => checkpoint.tensor('steps')).toThrow(
      "name is 'steps'; in the file its elements are I64; F32, F16 and BF16 can be read",
    );
  });

  test('a prefix that is no string is refused, and not taken for one', () => {
    for (const prefix of [undefined, null, 3, Symbol('layer')] as unknown as string[]) {
      expect(() => checkpoint.stateDict(prefix)).toThrow(
        /^prefix is .*; it must be a string: the layer's name in the model, or ''/,
      );
    }
  });

  test('a dtype that layers have none of is refused, and not taken for another', () => {
    for (const dtype of ['float64', 'F16', null] as unknown as 'float16'[]) {
      expect(() => checkpoint.tensor('layer.weight', dtype)).toThrow(
        /^dtype is .*; it must be one of 'float32', 'float16'/,
      );
      expect(() => checkpoint.stateDict('layer', dtype)).toThrow(/^dtype is /);
    }
  });
});

describe('sources', () => {
  const file = safetensors([f32('weight', [50_000], Array<number>(50_000).fill(0.5))]);
  const ramp = (count: number): number[] => Array.from({ length: count }, (_, i) => i / 8);
  const layerFile = safetensors([f32('decoder.0.weight', [2, 1, 4, 4], ramp(32)), f32('decoder.0.bias', [1], [0.5])]);
  let server: Server;
  let address: string;
  let broken = 0;
  let seeing = (): void => undefined;
  const seen = new Promise<void>((resolve) => (seeing = resolve));

  beforeAll(async () => {
    server = createServer((request, response) => {
      response.on('close', () => {
        if (!response.writableFinished) broken++;
      });
      if (request.url === '/endless.safetensors') {
        const more = (): boolean => response.write(new Uint8Array(65536), () => response.destroyed || more());
        more();
      } else if (request.url === '/pieces.safetensors') {
        // No Content-Length, and the rest once the first piece was seen.
        response.write(file.subarray(0, 1000));
        void seen.then(() => response.end(file.subarray(1000)));
      } else if (request.url === '/cut.safetensors') response.end(file.subarray(0, 5000));
      else if (request.url === '/model.safetensors') response.end(file);
      else if (request.url === '/layer.safetensors') response.end(layerFile);
      else response.writeHead(404).end('no such file');
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    address = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  });
  afterAll(() => server.close());

  test.each([
    ['an ArrayBuffer', () => file.buffer],
    ['a view', () => new Uint8Array([0, ...file]).subarray(1)],
    ['a Blob', () => new Blob([file])],
    ['a File', () => new File([file], 'model.safetensors')],
    ['an address', () => `${address}/model.safetensors`],
    ['a URL', () => new URL(`${address}/model.safetensors`)],
  ])('%s, with progress', async (_, source) => {
    const progress: [number, number | undefined][] = [];
    const checkpoint = await readSafetensors(source(), {
      onProgress: (loaded, total) => progress.push([loaded, total]),
    });
    expect(checkpoint.tensor('weight').data).toHaveLength(50_000);
    expect(progress.at(-1)).toEqual([file.length, file.length]);
    expect(progress.map(([loaded]) => loaded)).toEqual(progress.map(([loaded]) => loaded).sort((a, b) => a - b));
  });

  test('an address comes in pieces, and the total is known once the header is there', async () => {
    const progress: [number, number | undefined][] = [];
    const checkpoint = await readSafetensors(`${address}/pieces.safetensors`, {
      onProgress: (loaded, total) => {
        progress.push([loaded, total]);
        seeing();
      },
    });
    expect(checkpoint.tensor('weight').data[49_999]).toBe(0.5);
    expect(progress[0]).toEqual([1000, file.length]);
    expect(progress.at(-1)).toEqual([file.length, file.length]);
    expect(progress.length).toBeGreaterThan(1);
  });

  test('a server’s refusal, a file cut short, and something else than a file', async () => {
    expect(await refusal(`${address}/none`)).toBe(`source is '${address}/none'; the server answered 404 Not Found`);
    expect(await refusal(`${address}/cut.safetensors`)).toMatch(/byte 5000: the file ends; tensor 'weight' has bytes/);
    expect(await refusal(7 as unknown as string)).toMatch(/^source is 7; it must be an address/);
  });

  test.each([
    [null, /^options is null/],
    [{ progress: () => undefined }, /^option 'progress' is a function; known are onProgress, signal, request/],
    [{ onProgress: 'yes' }, /^onProgress is 'yes'; it must be a function/],
    [{ signal: new AbortController() }, /^signal is .*; it must be an AbortSignal/],
  ])('options %j are refused before anything is read', async (options, message) => {
    const reading = readSafetensors(file, options as unknown as Parameters<typeof readSafetensors>[1]);
    await expect(reading).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringMatching(message) as string,
    });
  });

  test('the example of the documentation loads a layer', async () => {
    const layer = await loadLayer(`${address}/layer.safetensors`, 'decoder.0', 'cpu');
    expect(layer.outputShape([1, 2, 3, 3])).toEqual([1, 1, 6, 6]);
    expect(await layer.stateDict()).toEqual((await readSafetensors(layerFile)).stateDict('decoder.0'));
    layer.destroy();
  });

  test('an endless stream is left as soon as it is known to be damaged', async () => {
    const before = broken;
    expect(await refusal(`${address}/endless.safetensors`)).toContain("the header's length is 0");
    await expect.poll(() => broken).toBe(before + 1);
  });

  test('an abort rejects with its reason, before and while reading', async () => {
    const reason = new Error('enough');
    await expect(readSafetensors(file, { signal: AbortSignal.abort(reason) })).rejects.toBe(reason);
    const controller = new AbortController();
    const options = {
      signal: controller.signal,
      onProgress: (): void => {
        controller.abort(reason);
      },
    };
    await expect(readSafetensors(`${address}/model.safetensors`, options)).rejects.toBe(reason);
    await expect(readSafetensors(new Blob([file, file]), options)).rejects.toBe(reason);
  });
});

describe('damaged files are refused with the place', () => {
  const tensor = (entry: object): object => ({ w: { dtype: 'F32', shape: [2], data_offsets: [0, 8], ...entry } });
  const eight = new Uint8Array(8);
  const promising = fileOf(tensor({ shape: [2 ** 40], data_offsets: [0, 2 ** 42] }), eight);
  const length = new Uint8Array(8).fill(255);

  test.each<[string, Uint8Array<ArrayBuffer>, RegExp]>([
    ['nothing', new Uint8Array(0), /byte 0: the file ends within its first 8 bytes/],
    ['five bytes', new Uint8Array(5), /byte 5: the file ends within its first 8 bytes/],
    ['a length beyond all', length, /bytes 0 to 7: the header's length is 18446744073709551615; it must be of 2 to/],
    [
      'a length beyond the file',
      fileOf(tensor({})).subarray(0, 20),
      /byte 20: the file ends within its header, of \d+ bytes/,
    ],
    ['a zip archive', Uint8Array.of(0x50, 0x4b, 3, 4, 0, 0, 0, 0), /byte 0: it is a zip archive, as torch.save writes/],
    ['no JSON', fileOf('{"w": '), /bytes 8 to 13: the header is no JSON: /],
    ['no UTF-8', fileOf(tensor({})).fill(255, 12, 14), /the header is no JSON: /],
    ['deep JSON', fileOf('['.repeat(2_000_000)), /the header is no JSON: /],
    ['an array', fileOf('[]'), /the header must be a JSON object/],
    ['a number for a tensor', fileOf({ w: 1 }), /tensor 'w': it is 1; it must be an object/],
    [
      'an unknown dtype',
      fileOf(tensor({ dtype: 'F33' }), eight),
      /tensor 'w': its dtype is 'F33'; it must be one of BOOL, /,
    ],
    ['an inherited dtype', fileOf(tensor({ dtype: 'toString' }), eight), /tensor 'w': its dtype is 'toString'/],
    ['a negative extent', fileOf(tensor({ shape: [-2] }), eight), /tensor 'w': its shape is \[-2\]/],
    ['a fraction', fileOf(tensor({ shape: [0.5, 4] }), eight), /tensor 'w': its shape is \[0.5, 4\]/],
    [
      'extents beyond counting',
      fileOf(tensor({ shape: [2 ** 50, 2 ** 50, 2 ** 50, 0] }), eight),
      /takes 0 bytes, it has 8/,
    ],
    ['offsets backwards', fileOf(tensor({ data_offsets: [8, 0] }), eight), /tensor 'w': its data_offsets are \[8, 0\]/],
    [
      'a shape of another size',
      fileOf(tensor({ shape: [3] }), eight),
      /tensor 'w': F32 of shape \[3\] takes 12 bytes, it has 8/,
    ],
    [
      'a hole',
      fileOf(tensor({ data_offsets: [4, 12] }), new Uint8Array(12)),
      /tensor 'w': it begins at byte \d+, the one before/,
    ],
    [
      'an overlap',
      fileOf({ ...tensor({}), v: { dtype: 'U8', shape: [4], data_offsets: [4, 8] } }, eight),
      /tensor 'v': it begins at/,
    ],
    ['metadata of numbers', fileOf({ __metadata__: { epoch: 3 } }), /__metadata__: it must be an object of strings/],
    [
      'bytes after the end',
      fileOf(tensor({}), new Uint8Array(9)),
      /byte \d+: the last tensor ends here, the file goes on/,
    ],
    ['bytes missing', fileOf(tensor({}), new Uint8Array(7)), /byte \d+: the file ends; tensor 'w' has bytes/],
    ['four tebibytes promised', promising, /the file ends; tensor 'w' has bytes/],
  ])('%s', async (_, file, message) => {
    expect(await refusal(file)).toMatch(message);
    expect(await refusal(new File([file], 'model.safetensors'))).toMatch(/^'model\.safetensors' cannot be read: /);
  });

  test('a tensor named as objects have properties', async () => {
    const names = ['__proto__', 'constructor', ''];
    const header = names.map((name, i) => `"${name}":{"dtype":"U8","shape":[1],"data_offsets":[${i},${i + 1}]}`);
    const { tensors } = await readSafetensors(fileOf(`{${header.join()}}`, new Uint8Array(3)));
    expect([...tensors.keys()]).toEqual(names);
  });
});

describe('any file', () => {
  const widths: Record<string, number> = { F32: 4, F16: 2, BF16: 2, I64: 8, BOOL: 1 };
  const tensors = fc
    .uniqueArray(
      fc.record({
        name: fc.string({ maxLength: 6, unit: 'grapheme' }),
        dtype: fc.constantFrom(...Object.keys(widths)),
        shape: fc.array(fc.integer({ min: 0, max: 3 }), { maxLength: 4 }),
      }),
      { maxLength: 4, selector: ({ name }) => name },
    )
    .map((list) =>
      list
        .filter(({ name }) => name !== '__metadata__' && name !== '__proto__')
        .map((tensor) => {
          const size = tensor.shape.reduce((product, extent) => product * extent, widths[tensor.dtype]!);
          return { ...tensor, bytes: Uint8Array.from({ length: size }, (_, i) => (37 * i + size) & 127) };
        }),
    );
  /** A file's bytes as a Blob that streams them in pieces of its own choosing. */
  const inPieces = (bytes: Uint8Array, size: number): Blob =>
    Object.assign(new Blob(), {
      stream: () =>
        new ReadableStream<Uint8Array>({
          start(controller) {
            for (let at = 0; at < bytes.length; at += size) controller.enqueue(bytes.slice(at, at + size));
            controller.close();
          },
        }),
    });

  test('that is well-formed is read, whatever pieces it comes in', async () => {
    await fc.assert(
      fc.asyncProperty(tensors, fc.integer({ min: 1, max: 40 }), async (list, size) => {
        const checkpoint = await readSafetensors(inPieces(safetensors(list), size));
        expect(new Map([...checkpoint.tensors].map(([name, { shape }]) => [name, shape]))).toEqual(
          new Map(list.map(({ name, shape }) => [name, shape])),
        );
        for (const { name, dtype, bytes } of list.filter(({ dtype }) => dtype === 'F32' || dtype === 'F16')) {
          const { data } = checkpoint.tensor(name, dtype === 'F32' ? 'float32' : 'float16');
          expect(new Uint8Array(data.buffer)).toEqual(bytes);
        }
      }),
      { numRuns: 300 },
    );
  });

  test('that is cut short anywhere is refused', async () => {
    await fc.assert(
      fc.asyncProperty(tensors, fc.nat(), async (list, at) => {
        const file = safetensors(list);
        expect(await refusal(file.subarray(0, at % file.length))).toMatch(/byte \d+: the file ends/);
      }),
      { numRuns: 300 },
    );
  });

  test('with bytes changed, put in or taken out is read or refused, and nothing else', async () => {
    const change = fc.record({ at: fc.nat(), take: fc.nat(3), put: fc.uint8Array({ maxLength: 3 }) });
    let refused = 0;
    await fc.assert(
      fc.asyncProperty(tensors, fc.array(change, { minLength: 1, maxLength: 4 }), async (list, changes) => {
        const bytes = [...safetensors(list)];
        for (const { at, take, put } of changes) bytes.splice(at % (bytes.length + 1), take, ...put);
        try {
          const checkpoint = await readSafetensors(Uint8Array.from(bytes));
          for (const [name, { dtype }] of checkpoint.tensors) {
            if (['F32', 'F16', 'BF16'].includes(dtype)) checkpoint.tensor(name);
          }
        } catch (error) {
          if (!(error instanceof ConvTranspose2dError) || error.code !== 'INVALID_ARGUMENT') throw error;
          expect(error.message).toMatch(/bytes? \d|tensor '|__metadata__/);
          refused++;
        }
      }),
      { numRuns: 2000 },
    );
    expect(refused).toBeGreaterThan(1000);
  });

  test('with any header that is JSON is read or refused', async () => {
    const count = fc.oneof(fc.nat(9), fc.double(), fc.constantFrom(-1, 2 ** 53, 1e300, null, '1'));
    const entry = fc.record(
      {
        dtype: fc.oneof(fc.constantFrom('F32', 'BF16', 'F4', '__proto__'), fc.jsonValue()),
        shape: fc.oneof(fc.array(count, { maxLength: 4 }), fc.jsonValue()),
        data_offsets: fc.oneof(fc.tuple(count, count), fc.jsonValue()),
      },
      { requiredKeys: [] },
    );
    const header = fc.dictionary(fc.constantFrom('a', 'b', '__metadata__'), fc.oneof(entry, fc.jsonValue()));
    await fc.assert(
      fc.asyncProperty(header, fc.nat(40), async (json, size) => {
        await readSafetensors(fileOf(json, new Uint8Array(size))).catch((error: unknown) => {
          if (!(error instanceof ConvTranspose2dError) || error.code !== 'INVALID_ARGUMENT') throw error;
        });
      }),
      { numRuns: 2000 },
    );
  });
});
