/** Takes the place of wasm-binary.ts in the worker: the page, which has them anyway, sends the modules. */
import type { WasmBinary } from './wasm-binary.ts';

const none: WasmBinary = { memoryFlags: 0, text: '' };

export let simd: WasmBinary = none;
export let relaxedSimd: WasmBinary = none;

export function give(binaries: { readonly simd: WasmBinary; readonly relaxedSimd: WasmBinary }): void {
  ({ simd, relaxedSimd } = binaries);
}
