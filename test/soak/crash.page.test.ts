// The browser's GPU process crashes in the middle of a call: DEVICE_LOST or the right numbers, and the next call is right.
import { afterEach, expect, test } from 'vitest';
import { commands } from 'vitest/browser';
import { ConvTranspose2d, ConvTranspose2dError, download, upload, type HostTensor } from '../../src/index.ts';
import { count } from '../support/figures.ts';
import { takeGpuFailures } from '../support/gpu.ts';
import { asHardware } from '../support/hardware.ts';
import type {} from '../support/puppeteer-provider.ts';
import { integerTensor } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

const state = { weight: integerTensor([8, 8, 3, 3], 2), bias: integerTensor([8], 3) };
/** Some hundred milliseconds of work, so that the crash comes in the middle of it. */
const input = integerTensor([8, 8, 64, 64], 1);
const options = { stride: 2, padding: 1 } as const;
const right = (output: HostTensor): void => {
  expect(mismatch(output, { input, ...state, options }, { lane: 'exact' })).toBeUndefined();
};

let restore: () => void = () => undefined;
afterEach(() => {
  restore();
});

/** Calls in the middle of which the process goes. */
const middles: Record<string, (layer: ConvTranspose2d, shape: number[]) => Promise<unknown>> = {
  'a forward': async (layer) => {
    right(await layer.forward(input));
  },
  'a readback': async (layer) => {
    const device = layer.device as GPUDevice;
    const sent = upload(device, input);
    const got = await download(device, sent);
    expect(got.data).toEqual(input.data);
  },
  'a compile': async (layer, shape) => {
    const other = new ConvTranspose2d(8, 8, 3, { ...options, activation: 'gelu' });
    try {
      await Promise.all([layer.prepare(shape), other.prepare(shape)]);
    } finally {
      other.destroy();
    }
  },
};

test.for(Object.entries(middles))('in the middle of %s', async ([, middle], context) => {
  restore = asHardware();
  const layer = new ConvTranspose2d(8, 8, 3, options);
  layer.loadStateDict(state);
  const outcomes: string[] = [];
  for (let crash = 0; crash < 3; crash++) {
    right(await layer.forward(input));
    const device = layer.device as GPUDevice;
    expect(device).toHaveProperty('queue');
    const pending = middle(layer, [1, 8, 9 + crash, 9]).then(
      () => 'well',
      (error: unknown) => (error instanceof ConvTranspose2dError ? error.code : String(error)),
    );
    const crashed = commands.crashGpuProcess();
    outcomes.push(await pending);
    await crashed;
    expect((await device.lost).reason).toBe('unknown');
  }
  right(await layer.forward(input));
  layer.destroy();
  console.log(outcomes.join(', '));
  for (const outcome of outcomes) expect(['well', 'DEVICE_LOST']).toContain(outcome);
  expect(takeGpuFailures().every((failure) => failure.includes('lost (unknown)'))).toBe(true);
  count(context, 'losses survived', outcomes.length);
});
