// The WebAssembly modules as the package holds them: text that both sides read alike.
import { expect, test } from 'vitest';
import { toText } from '../../scripts/build-assembly.mjs';
import { fromText } from '../../src/cpu/wasm-text.ts';
import { loadWasm } from '../../src/load.ts';

test('text of every byte after every byte is printable, and is read as these bytes', () => {
  const bytes = Uint8Array.from({ length: 2 * 256 ** 2 }, (_, i) => (i % 2 === 0 ? i >> 9 : i >> 1));
  const text = toText(bytes);
  expect(text).toMatch(/^[#-~]*$/);
  expect(fromText(text)).toEqual(bytes);
});

test.each(['simd', 'relaxed-simd'] as const)(
  '%s: a module whose memory has a maximum and is not shared',
  async (variant) => {
    const { text, memoryFlags } = await loadWasm(variant);
    const bytes = fromText(text);
    expect(String.fromCharCode(...bytes.subarray(0, 4))).toBe('\0asm');
    expect(bytes[memoryFlags]).toBe(1);
  },
);

// The type (v128, v128, v128) → v128, which a multiply-add has as a function. Engines do not inline it: where the compiler had
// left it one, for the module is smaller so, layers took seven times as long.
const MULTIPLY_ADD = Buffer.from([0x60, 3, 0x7b, 0x7b, 0x7b, 1, 0x7b]);

test.each(['simd', 'relaxed-simd'] as const)('%s: a multiply-add is never a call', async (variant) => {
  const { text } = await loadWasm(variant);
  expect(Buffer.from(fromText(text)).includes(MULTIPLY_ADD)).toBe(false);
});
