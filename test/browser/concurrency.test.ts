// Many calls at once, with parameters loaded and layers destroyed in between: right results or clear errors, each its own.
import { beforeAll, expect, test } from 'vitest';
import { ConvTranspose2d, ConvTranspose2dError, upload, type HostTensor, type StateDict } from '../../src/index.ts';
import { Count } from '../support/count.ts';
import { testDevice } from '../support/gpu.ts';
import { inScopes } from '../support/scopes.ts';
import { integerTensor } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

const CALLS = 64;
const options = { stride: 2, padding: 1 } as const;
const states = Array.from({ length: 4 }, (_, i): StateDict => ({
  weight: integerTensor([2, 3, 3, 3], 10 + i),
  bias: integerTensor([3], 20 + i),
}));
const inputOf = (call: number): HostTensor => integerTensor([1 + (call % 2), 2, 2 + (call % 7), 3 + (call % 3)], call);

let device: GPUDevice;
let count: Count;
beforeAll(async () => {
  device = await testDevice({ label: 'busy device' });
  count = new Count(device);
});

function layerOn(where: GPUDevice | 'cpu'): ConvTranspose2d {
  const layer = new ConvTranspose2d(2, 3, 3, { ...options, device: where });
  layer.loadStateDict(states[0]!);
  return layer;
}

/** Whether a result is right with one of the states that were loaded. */
const isRight = (output: HostTensor, input: HostTensor): boolean =>
  states.some(
    ({ weight, bias }) => mismatch(output, { input, weight, bias, options }, { lane: 'exact' }) === undefined,
  );

/** Every call's result is right with one state as a whole, or its error is one of these. */
async function expectSettled(calls: readonly Promise<HostTensor>[], codes: readonly string[]): Promise<number> {
  let right = 0;
  for (const [call, result] of (await Promise.allSettled(calls)).entries()) {
    if (result.status === 'fulfilled') {
      expect(isRight(result.value, inputOf(call)), `call ${call}`).toBe(true);
      right++;
    } else {
      expect(result.reason).toBeInstanceOf(ConvTranspose2dError);
      expect(codes).toContain((result.reason as ConvTranspose2dError).code);
    }
  }
  return right;
}

const turn = (): Promise<void> => new Promise((done) => setTimeout(done));

test(`${CALLS} on one layer, with parameters loaded in between`, async () => {
  for (const where of ['cpu', device] as const) {
    const layer = layerOn(where);
    const calls: Promise<HostTensor>[] = [];
    for (let call = 0; call < CALLS; call++) {
      if (call % 8 === 5) layer.loadStateDict(states[(call >> 3) % 4]!);
      calls.push(layer.forward(inputOf(call)));
      if (call % 16 === 9) await turn();
    }
    expect(await expectSettled(calls, [])).toBe(CALLS);
    // Those that come later have the last ones.
    const last = states[((CALLS - 3) >> 3) % 4]!;
    expect(
      mismatch(await layer.forward(inputOf(1)), { input: inputOf(1), ...last, options }, { lane: 'exact' }),
    ).toBeUndefined();
    layer.destroy();
  }
});

test(`${CALLS} on as many layers, every third destroyed under way, GPU parameters among them`, async () => {
  const onGpu = states.map(({ weight, bias }) => ({ weight: upload(device, weight), bias: upload(device, bias!) }));
  for (const where of ['cpu', device] as const) {
    const layers = Array.from({ length: CALLS }, () => layerOn(where));
    const calls = layers.map((layer, i) => {
      if (where !== 'cpu' && i % 4 === 2) layer.loadStateDict(onGpu[i % 4]!);
      return layer.forward(inputOf(i));
    });
    const settled = expectSettled(calls, ['DESTROYED']);
    for (const [i, layer] of layers.entries()) {
      if (i % 3 === 1) layer.destroy();
      if (i % 9 === 0) await turn();
    }
    const right = await settled;
    expect(right).toBeGreaterThanOrEqual(CALLS - Math.ceil(CALLS / 3));
    for (const layer of layers) layer.destroy();
  }
  for (const { weight, bias } of onGpu) for (const { buffer } of [weight, bias]) buffer.destroy();
  expect([count.live.size, count.bytes]).toEqual([0, 0]);
});

test("a caller's scopes around calls catch the caller's errors, and no one else's", async () => {
  const layer = layerOn(device);
  // Calls that fail on the device, and calls that do not, and in between what the caller does itself.
  const failing = device.createBuffer.bind(device);
  const calls: Promise<HostTensor>[] = [];
  const scopes: Promise<unknown>[] = [];
  for (let call = 0; call < CALLS; call++) {
    const isBad = call % 4 === 3;
    if (isBad) {
      const bad = new ConvTranspose2d(2, 3, 3, { ...options, device });
      bad.loadStateDict(states[0]!);
      device.createBuffer = (descriptor) =>
        failing({ ...descriptor, usage: descriptor.usage | GPUBufferUsage.MAP_WRITE | GPUBufferUsage.STORAGE });
      // Its parameters are packed within its own scopes; they fail there.
      scopes.push(
        inScopes(device, () => {
          bad.loadStateDict({ weight: weightOnGpu(), bias: biasOnGpu() });
        }).then(() => 'clean'),
      );
      device.createBuffer = failing;
      calls.push(bad.forward(inputOf(call)));
    } else {
      scopes.push(
        inScopes(device, () => {
          calls.push(layer.forward(inputOf(call)));
        }).then(() => 'clean'),
      );
    }
  }
  const right = await expectSettled(calls, ['GPU_ERROR']);
  expect(right).toBe((3 * CALLS) / 4);
  expect(new Set(await Promise.all(scopes))).toEqual(new Set(['clean']));
  layer.destroy();

  function weightOnGpu() {
    return onDevice(states[0]!.weight);
  }
  function biasOnGpu() {
    return onDevice(states[0]!.bias!);
  }
  function onDevice({ shape }: HostTensor) {
    const size = 4 * shape.reduce((product, extent) => product * extent, 1);
    return { shape, buffer: failing({ label: 'parameters', size, usage: GPUBufferUsage.STORAGE }) };
  }
});
