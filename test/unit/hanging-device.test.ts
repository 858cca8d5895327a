// A browser that does not answer when it is asked for a GPU: calls that are aborted meanwhile do not wait for it, others do.
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ConvTranspose2d, convTranspose2dBackward, type HostTensor } from '../../src/index.ts';
import { valuesOf } from '../support/tensors.ts';

const ones = (...shape: number[]): HostTensor => ({
  shape,
  data: new Float32Array(shape.reduce((product, extent) => product * extent, 1)).fill(1),
});
const navigatorOfNode = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
let answer: (adapter: null) => void;

beforeAll(() => {
  const gpu = { requestAdapter: () => new Promise<null>((resolve) => (answer = resolve)) };
  Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
});
afterAll(() => {
  if (navigatorOfNode === undefined) Reflect.deleteProperty(globalThis, 'navigator');
  else Object.defineProperty(globalThis, 'navigator', navigatorOfNode);
});

test('an abort is heard before the browser has answered, and the others go on once it has', async () => {
  const layer = new ConvTranspose2d(1, 1, 2, { stride: 2, bias: false });
  layer.loadStateDict({ weight: ones(1, 1, 2, 2) });
  const input = ones(1, 1, 2, 2);
  const waiting = layer.forward(input);
  const reason = new Error('enough');
  const controller = new AbortController();
  const { signal } = controller;
  const aborted = Promise.allSettled([
    layer.forward(input, { signal }),
    layer.prepare(input.shape, { signal }),
    convTranspose2dBackward(ones(1, 1, 4, 4), input, ones(1, 1, 2, 2), { stride: 2, signal }),
  ]);
  controller.abort(reason);
  expect(await aborted).toEqual([0, 1, 2].map(() => ({ status: 'rejected', reason })));

  answer(null);
  expect([...valuesOf(await waiting)]).toEqual(Array.from({ length: 16 }, () => 1));
  expect(layer.device).toBe('cpu');
  layer.destroy();
});
