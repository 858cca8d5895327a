// The CPU path on the main thread of a Chromium up to 114, whose constructors refuse WebAssembly of more than 4 kB.
import { expect, test, vi } from 'vitest';
import { convTranspose2d } from '../../src/index.ts';
import { integerTensor } from '../support/tensors.ts';
import { mismatch } from '../support/tolerance.ts';

test('a call is computed by WebAssembly that is compiled and instantiated asynchronously', async () => {
  const { Module, Instance } = WebAssembly;
  const refuse = (what: string): never => {
    throw new RangeError(
      `WebAssembly.${what} is disallowed on the main thread, if the buffer size is larger than 4KB.`,
    );
  };
  WebAssembly.Module = new Proxy(Module, {
    construct: (made, [code]: [Uint8Array<ArrayBuffer>]) => (code.length > 4096 ? refuse('Compile') : new made(code)),
  });
  WebAssembly.Instance = new Proxy(Instance, { construct: () => refuse('Instance') });
  const [compile, instantiate] = [vi.spyOn(WebAssembly, 'compile'), vi.spyOn(WebAssembly, 'instantiate')];
  const input = integerTensor([1, 3, 5, 5], 1);
  const weight = integerTensor([3, 4, 3, 3], 2);
  const output = await convTranspose2d(input, weight, null, { stride: 2, device: 'cpu' });
  expect(mismatch(output, { input, weight, options: { stride: 2 } }, { lane: 'exact' })).toBeUndefined();
  expect(compile).toHaveBeenCalledOnce();
  expect(instantiate).toHaveBeenCalledOnce();
});
