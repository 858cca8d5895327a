// What other systems' own tests expect, on both devices: numbers, sizes, and what is refused.
import { afterAll, describe, expect, test } from 'vitest';
import { ConvTranspose2d, ConvTranspose2dError, convTranspose2d, outputShape } from '../../src/index.ts';
import type { Device } from '../../src/types.ts';
import { cases, errorCases, knownFiles, outputSizeGrid, presentFiles } from '../support/conformance.ts';
import { expectNumbers } from '../support/expect-numbers.ts';
import { float16Devices } from '../support/float16-devices.ts';
import { testDevice } from '../support/gpu.ts';
import { attemptOf } from '../support/refusals.ts';
import { inScopes } from '../support/scopes.ts';
import { integerTensor, tensorOf } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

test('every file of cases is read', () => {
  expect([...presentFiles].sort()).toEqual([...knownFiles].sort());
});

const devices = [
  { name: 'cpu', device: (): Promise<Device> => Promise.resolve('cpu') },
  { name: 'webgpu', device: (): Promise<Device> => testDevice() },
];

describe.each(devices)('$name', ({ name, device }) => {
  let passed = 0;
  let total = 0;
  const counted = async (count: number, check: () => Promise<void>): Promise<void> => {
    total += count;
    await check();
    passed += count;
  };
  afterAll(() => {
    console.log(`conformance ${name}: ${passed}/${total}`);
    expect(total).toBe(cases.length + errorCases.length + outputSizeGrid.length);
  });

  describe('numbers', () => {
    test.each(cases.map((entry) => [`${entry.file}: ${entry.name}`, entry] as const))('%s', (_, entry) =>
      counted(1, async () => {
        const where = await device();
        // Both ways of a GPU with float16 tensors.
        const all = entry.dtype === 'float16' && where !== 'cpu' ? await float16Devices() : [where];
        for (const one of all) await expectNumbers(entry, one);
      }),
    );
  });

  describe('verdicts', () => {
    test.each(errorCases.map((entry) => [`${entry.name} (${entry.source})`, entry] as const))('%s', (_, entry) =>
      counted(1, async () => {
        const attempt = attemptOf(entry);
        if (attempt === undefined) {
          await expectForeignBufferRefused(await device());
        } else if (attempt.accepted) {
          expect(await attempt.run(await device())).toEqual(attempt.result);
        } else {
          const error: unknown = await attempt.run(await device()).then(
            (shape) => `accepted: ${shape.join(' x ')}`,
            (reason: unknown) => reason,
          );
          expect(error).toBeInstanceOf(ConvTranspose2dError);
          expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
          const { message } = error as ConvTranspose2dError;
          if (attempt.names) expect(attempt.names).toContain(message.split(' is ')[0]);
          else expect(message).toMatch(/^[\w' ]+ is .+; .+/s);
        }
      }),
    );
  });

  test('sizes: the grid of PyTorch, and a result of one row of it', () =>
    counted(outputSizeGrid.length, async () => {
      const where = await device();
      for (const [size, kernel, dilation, stride, padding, output, implied] of outputSizeGrid) {
        const input = [1, 1, size, 1];
        const weight = [1, 1, kernel, 1];
        const options = { stride, padding: [padding, 0] as const, dilation, device: where };
        expect(outputShape(input, weight, { ...options, outputSize: [output, 1] })).toEqual([1, 1, output, 1]);
        expect(outputShape(input, weight, { ...options, outputPadding: [implied, 0] })).toEqual([1, 1, output, 1]);
      }
      const [size, kernel, dilation, stride, padding, output] = outputSizeGrid.at(-1)!;
      const input = integerTensor([1, 1, size, 1], 1);
      const weight = integerTensor([1, 1, kernel, 1], 2);
      const options = { stride, padding: [padding, 0] as const, dilation, outputSize: [output, 1] as const };
      const result = await convTranspose2d(input, weight, null, { ...options, device: where });
      expect(mismatch(result, { input, weight, options }, { lane: 'exact' })).toBeUndefined();
    }));
});

/** WebNN refuses operands of another builder; a buffer of another device is the same mistake. */
async function expectForeignBufferRefused(device: Device): Promise<void> {
  const own = await testDevice();
  const other = await testDevice({ label: 'another device' });
  const layer = new ConvTranspose2d(1, 1, 2, { device, seed: 1 });
  const shape = [1, 1, 3, 3];
  const buffer = other.createBuffer({ label: 'foreign', size: 36, usage: GPUBufferUsage.STORAGE });
  const encode = (): void => {
    const encoder = own.createCommandEncoder({ label: 'foreign' });
    layer.encode(encoder, { shape, buffer });
    own.queue.submit([encoder.finish()]);
  };
  if (device === 'cpu') {
    expect(encode).toThrow(ConvTranspose2dError);
  } else {
    await expect(inScopes(own, encode)).rejects.toThrow();
  }
  buffer.destroy();
  const input = tensorOf(shape, [1, 2, 3, 4, 5, 6, 7, 8, 9]);
  const { weight, bias } = await layer.stateDict();
  expect(mismatch(await layer.forward(input), { input, weight, bias }, { lane: 'float' })).toBeUndefined();
  layer.destroy();
}
