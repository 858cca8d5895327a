// How calls end early: a layer destroyed, memory given away, a buffer that is invalid, a device that is lost.
import { describe, expect, test } from 'vitest';
import { ConvTranspose2d, download, upload } from '../../src/index.ts';
import { capabilitiesOf } from '../../src/webgpu/device.ts';
import { count, device } from '../support/counted-device.ts';
import { testDevice } from '../support/gpu.ts';
import { bias, errorOf, input, layerOn, options, weight, wrong } from '../support/small-layer.ts';
import { integerTensor } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

describe('endings', () => {
  test('calls under way reject with DESTROYED when their layer goes, and leave nothing', async () => {
    for (let turns = 0; turns < 12; turns++) {
      const layer = layerOn(device);
      if (turns % 2) await layer.prepare(input.shape);
      const pending = [errorOf(layer.forward(input)), errorOf(layer.prepare([1, 2, 5, 5])), errorOf(layer.stateDict())];
      for (let turn = 0; turn < turns; turn++) await (turn % 3 ? undefined : new Promise((done) => setTimeout(done)));
      layer.destroy();
      for (const error of await Promise.all(pending)) {
        if (error !== undefined) expect(error).toMatchObject({ code: 'DESTROYED' });
      }
    }
    expect([count.live.size, count.bytes]).toEqual([0, 0]);
  });

  test('memory that is given away under a call fails it at most: the next is right, and nothing is left', async () => {
    const layer = new ConvTranspose2d(2, 3, 3, { ...options, device });
    layer.loadStateDict({ weight, bias });
    const shape = layer.outputShape(input.shape);
    let failed = 0;
    for (const given of ['input', 'output'] as const) {
      for (let turns = 0; turns < 8; turns++) {
        const tensors = { input: integerTensor(input.shape, 1), output: integerTensor(shape, 1) };
        const pending = layer.forward(tensors.input, { output: tensors.output });
        const outcome = errorOf(pending);
        for (let turn = 0; turn < turns; turn++) await (turn % 2 ? new Promise((done) => setTimeout(done)) : undefined);
        const buffer = tensors[given].data.buffer as ArrayBuffer;
        structuredClone(buffer, { transfer: [buffer] });
        const error = await outcome;
        if (error !== undefined) failed++;
        else if (given === 'input') expect(wrong(await pending, input)).toBeUndefined();
      }
    }
    expect(failed).toBeGreaterThan(0);
    expect(wrong(await layer.forward(input), input)).toBeUndefined();
    layer.destroy();
    expect(count.live.size).toBe(0);
  });

  test('on the CPU as well', async () => {
    const layer = layerOn('cpu');
    const pending = errorOf(layer.forward(input));
    layer.destroy();
    expect(await pending).toMatchObject({ code: 'DESTROYED' });
  });

  test('a buffer that cannot be made fails one call: the next is right, and nothing is left', async () => {
    const made: string[] = [];
    /** The call, counted over all buffers, whose buffer is invalid. */
    let failing = -1;
    const create = device.createBuffer.bind(device);
    device.createBuffer = (descriptor) => {
      const invalid = made.push(descriptor.label ?? '') - 1 === failing;
      return create(invalid ? { ...descriptor, usage: descriptor.usage | GPUBufferUsage.MAP_WRITE } : descriptor);
    };
    const call = integerTensor([2, 4, 4], 1, 4, 'float16');
    const state = { weight: integerTensor([2, 3, 3, 3], 2, 4, 'float16'), bias: integerTensor([3], 3, 4, 'float16') };
    const tried = new Set<string>();
    for (let nth = 0, more = true; more; nth++) {
      const layer = new ConvTranspose2d(2, 3, 3, { ...options, device, dtype: 'float16' });
      layer.loadStateDict(state);
      failing = made.length + nth;
      const error = await errorOf(layer.forward(call));
      more = failing < made.length;
      if (more) {
        tried.add(made[failing]!);
        expect(error, made[failing]).toMatchObject({ code: 'GPU_ERROR' });
      }
      failing = -1;
      const result = await layer.forward(call);
      expect(mismatch(result, { input: call, ...state, options }, { lane: 'exact' })).toBeUndefined();
      layer.destroy();
    }
    // For an emulated GPU JavaScript packs the parameters, for others a pass.
    const packing = capabilitiesOf(device, 'a test').software ? [] : ['pack params', 'parameters'];
    const names = [
      ...['expandedInput', 'expandedOutput', 'input', 'output', 'packed bias', 'packed weight'],
      ...['readback', 'tables', ...packing],
    ];
    expect([...tried].sort()).toEqual(names.map((name) => `conv-transpose2d ${name}`).sort());
    expect([count.live.size, count.bytes]).toEqual([0, 0]);
  });

  test('a lost device rejects every call with DEVICE_LOST', async () => {
    const doomed = await testDevice({ label: 'doomed device' });
    const layer = layerOn(doomed);
    const pending = [layer.forward(input), layer.prepare([1, 2, 5, 5]), layer.forward(integerTensor([2, 9, 9], 1))];
    const errors = pending.map(errorOf);
    doomed.destroy();
    await doomed.lost;
    const after = [layer.forward(input), layer.prepare([1, 2, 6, 6]), download(doomed, upload(doomed, input))];
    for (const error of await Promise.all([...errors, ...after.map(errorOf)])) {
      if (error !== undefined) expect(error).toMatchObject({ code: 'DEVICE_LOST' });
    }
    expect(await errorOf(layer.forward(input))).toMatchObject({ code: 'DEVICE_LOST' });
    layer.destroy();
  });
});
