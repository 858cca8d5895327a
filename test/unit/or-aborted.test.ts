// Waiting for what cannot be aborted itself.
import { expect, test } from 'vitest';
import { orAborted } from '../../src/cpu/or-aborted.ts';

const forever = new Promise<never>(() => undefined);

test('a signal that is aborted meanwhile, or was already, ends the wait', async () => {
  const later = new AbortController();
  const waiting = orAborted(forever, later.signal);
  later.abort(new Error('later'));
  await expect(waiting).rejects.toThrow('later');
  await expect(orAborted(forever, AbortSignal.abort(new Error('before')))).rejects.toThrow('before');
});

test('without, it ends as the work does; work that fails after the abort is no unhandled rejection', async () => {
  const { signal } = new AbortController();
  expect(await orAborted(Promise.resolve(7), signal)).toBe(7);
  await expect(orAborted(Promise.reject(new Error('no')), signal)).rejects.toThrow('no');
  let fail = (_: Error): void => undefined;
  const work = new Promise<never>((_, reject) => {
    fail = reject;
  });
  await expect(orAborted(work, AbortSignal.abort(new Error('enough')))).rejects.toThrow('enough');
  fail(new Error('no'));
  await new Promise((resolve) => setTimeout(resolve));
});
