// Devices that go, at every turn of a call: DEVICE_LOST or the right numbers, and a shared default that comes back.
import { afterEach, describe, expect, test } from 'vitest';
import {
  convTranspose2d,
  ConvTranspose2d,
  download,
  upload,
  type ConvTranspose2dError,
  type HostTensor,
} from '../../src/index.ts';
import { count } from '../support/figures.ts';
import { testDevice } from '../support/gpu.ts';
import { asHardware } from '../support/hardware.ts';
import { integerTensor } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

const options = { stride: 2, padding: 1 } as const;
const state = { weight: integerTensor([2, 3, 3, 3], 2), bias: integerTensor([3], 3) };
const input = integerTensor([1, 2, 4, 4], 1);
let made = 0;

const doomedDevice = (): Promise<GPUDevice> => testDevice({ label: `doomed device ${made++}` });

function layerOn(device: GPUDevice | undefined): ConvTranspose2d {
  const layer = new ConvTranspose2d(2, 3, 3, { ...options, device });
  layer.loadStateDict(state);
  return layer;
}

/** Undefined for the right numbers, else the error. */
async function outcome(call: Promise<HostTensor>): Promise<ConvTranspose2dError | undefined> {
  try {
    expect(mismatch(await call, { input, ...state, options }, { lane: 'exact' })).toBeUndefined();
    return undefined;
  } catch (error) {
    return error as ConvTranspose2dError;
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await (turn % 2 ? undefined : new Promise((done) => setTimeout(done)));
}

describe("a caller's own device", () => {
  test.for([
    ['forward', false],
    ['forward, prepared', true],
  ] as const)('%s: lost at every turn', async ([, prepared], context) => {
    const codes: (string | undefined)[] = [];
    for (let turn = 0; turn < 12; turn++) {
      const device = await doomedDevice();
      const layer = layerOn(device);
      if (prepared) await layer.prepare(input.shape);
      const pending = outcome(layer.forward(input));
      await turns(turn);
      device.destroy();
      const error = await pending;
      codes.push(error?.code);
      if (error !== undefined) {
        expect(error, `turn ${turn}`).toMatchObject({
          code: 'DEVICE_LOST',
          message: expect.stringMatching(/caller's/) as string,
        });
      }
      await device.lost;
      for (const later of [layer.forward(input), layer.prepare(input.shape), layer.prepare([1, 2, 9, 9])]) {
        const late = await later.catch((reason: unknown) => reason);
        expect(late).toMatchObject({ code: 'DEVICE_LOST', message: expect.stringMatching(/caller's/) as string });
      }
      layer.destroy();
    }
    expect(codes).toContain('DEVICE_LOST');
    count(context, 'losses survived', codes.length);
  });

  test('a readback of its own, a state dict and a recording', async (context) => {
    for (let turn = 0; turn < 12; turn++) {
      const device = await doomedDevice();
      const layer = layerOn(device);
      const tensors = { weight: upload(device, state.weight), bias: upload(device, state.bias) };
      const from = upload(device, input);
      await layer.prepare(input.shape);
      layer.loadStateDict(tensors);
      const pending = [download(device, from), layer.stateDict().then(({ weight }) => weight)];
      const whole = [input, state.weight];
      await turns(turn);
      device.destroy();
      for (const [at, result] of (await Promise.allSettled(pending)).entries()) {
        if (result.status === 'fulfilled') expect(result.value.data).toEqual(whole[at]!.data);
        else expect(result.reason).toMatchObject({ code: 'DEVICE_LOST' });
      }
      await device.lost;
      const encoder = device.createCommandEncoder({ label: 'too late' });
      expect(() => layer.encode(encoder, from)).toThrow(expect.objectContaining({ code: 'DEVICE_LOST' }) as Error);
      layer.destroy();
    }
    count(context, 'losses survived', 12);
  });
});

test('lost before the first call of a layer: its recording says so', async () => {
  const device = await doomedDevice();
  const layer = layerOn(device);
  const on = upload(device, input);
  const encoder = device.createCommandEncoder({ label: 'test' });
  device.destroy();
  await device.lost;
  expect(() => layer.encode(encoder, on)).toThrow(expect.objectContaining({ code: 'DEVICE_LOST' }));
  layer.destroy();
});

describe('the shared default', () => {
  let restore: () => void = () => undefined;
  afterEach(() => {
    restore();
  });

  test('comes back by itself, call after call; the one under way says so', async (context) => {
    restore = asHardware();
    const layer = layerOn(undefined);
    const seen = new Set<unknown>();
    for (let turn = 0; turn < 12; turn++) {
      expect(await outcome(layer.forward(input))).toBeUndefined();
      const device = layer.device as GPUDevice;
      seen.add(device);
      const pending = outcome(layer.forward(input));
      await turns(turn);
      device.destroy();
      const error = await pending;
      if (error !== undefined) {
        expect(error).toMatchObject({ code: 'DEVICE_LOST', message: expect.stringMatching(/next call/) as string });
      }
      await device.lost;
    }
    expect(seen.size).toBe(12);
    expect(seen).not.toContain('cpu');
    expect(await outcome(convTranspose2d(input, state.weight, state.bias, options))).toBeUndefined();
    layer.destroy();
    count(context, 'losses survived', 12);
  });

  test('weights that only the lost one had are asked for again, and may be loaded on the new one', async () => {
    restore = asHardware();
    const layer = layerOn(undefined);
    await layer.prepare(input.shape);
    const first = layer.device as GPUDevice;
    layer.loadStateDict({ weight: upload(first, state.weight), bias: upload(first, state.bias) });
    expect(await outcome(layer.forward(input))).toBeUndefined();
    first.destroy();
    await first.lost;
    for (let call = 0; call < 2; call++) {
      expect(await outcome(layer.forward(input))).toMatchObject({
        code: 'DEVICE_LOST',
        message: expect.stringMatching(/load them again/) as string,
      });
    }
    const second = layer.device as GPUDevice;
    expect(second).not.toBe(first);
    layer.loadStateDict({ weight: upload(second, state.weight), bias: upload(second, state.bias) });
    expect(await outcome(layer.forward(input))).toBeUndefined();
    layer.destroy();
  });

  test('that is lost again and again is asked for a few times, not for ever', async () => {
    let asked = 0;
    const layer = layerOn(undefined);
    restore = asHardware();
    await layer.prepare(input.shape);
    restore();
    restore = asHardware((device) => {
      asked++;
      device.destroy();
    });
    const first = layer.device as GPUDevice;
    first.destroy();
    await first.lost;
    const error = await outcome(layer.forward(input));
    expect(error).toMatchObject({ code: 'DEVICE_LOST', message: expect.stringMatching(/3 times/) as string });
    expect(asked).toBe(3);
    restore();
    restore = asHardware();
    expect(await outcome(layer.forward(input))).toBeUndefined();
    layer.destroy();
  });
});
