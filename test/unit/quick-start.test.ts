// examples/quick-start.ts, which the README opens with, as it stands; Node has no GPU, so it runs on the CPU.
import { expect, test, vi } from 'vitest';

test('it says the shape that the README says, and a kernel of the CPU', async () => {
  const log = vi.spyOn(console, 'log').mockReturnValue();
  await import('../../examples/quick-start.ts');
  expect(log.mock.calls).toEqual([[[1, 3, 128, 128], expect.stringMatching(/^(wasm-simd|wasm-relaxed-simd|plain)$/)]]);
  log.mockRestore();
});
