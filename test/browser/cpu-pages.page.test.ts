// The CPU path on pages that refuse it workers, or shared memory.
import { expect, test } from 'vitest';
import { commands } from 'vitest/browser';
import type { HostTensor } from '../../src/types.ts';
import { loadInFrame, type Frame } from '../support/frame.ts';
import { integerTensor } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

/** 75 million operations: enough for workers. */
const input = integerTensor([1, 32, 64, 64], 1);
const weight = integerTensor([32, 32, 3, 3], 2);

/** Tensors are of the frame's own realm, as its page would make them. */
async function expectExact({ window: frame, library }: Frame): Promise<void> {
  const own = ({ shape, data }: HostTensor): HostTensor => ({ shape, data: new frame.Float32Array(data) });
  const layer = new library.ConvTranspose2d(32, 32, 3, { device: 'cpu', bias: false });
  layer.loadStateDict({ weight: own(weight) });
  await layer.prepare(input.shape);
  for (let call = 0; call < 2; call++) {
    const { shape, data } = await layer.forward(own(input));
    const output = { shape, data: new Float32Array(data as Float32Array) };
    expect(mismatch(output, { input, weight, options: {} }, { lane: 'exact' })).toBeUndefined();
  }
  layer.destroy();
}

test('cross-origin isolated, no policy: workers over shared memory', async () => {
  const frame = await loadInFrame({});
  expect(frame.window.crossOriginIsolated).toBe(true);
  await expectExact(frame);
  expect(frame.workersMade()).toBe(2);
  frame.remove();
});

test('a policy that refuses workers: the calling thread', async () => {
  const frame = await loadInFrame({ content: "worker-src 'none'" });
  await expectExact(frame);
  expect(frame.workersMade()).toBeGreaterThan(0);
  const errors = await commands.takePageErrors();
  expect(errors.length).toBeGreaterThan(0);
  for (const error of errors) expect(error).toMatch(/Content Security Policy/);
  frame.remove();
});

test('not cross-origin isolated: one worker with a memory of its own', async () => {
  const frame = await loadInFrame({ allow: "cross-origin-isolated 'none'" });
  expect(frame.window.crossOriginIsolated).toBe(false);
  await expectExact(frame);
  expect(frame.workersMade()).toBe(1);
  frame.remove();
});
