/** Which of the two modules of assembly/ an engine takes. */
export type WasmVariant = 'simd' | 'relaxed-simd';

/** The smallest module: its magic number and version. */
const EMPTY = [0, 0x61, 0x73, 0x6d, 1, 0, 0, 0];

/** Whether WebAssembly compiles. A Content Security Policy may forbid it, which `validate` does not tell. */
function compiles(): boolean {
  try {
    return new WebAssembly.Module(Uint8Array.from(EMPTY)) instanceof WebAssembly.Module;
  } catch {
    return false;
  }
}

/** Whether the engine knows a vector instruction: validates a function that has it in unreachable code, where operands may be left out. */
function has(...instruction: readonly [number, number, number]): boolean {
  const type = [1, 4, 1, 0x60, 0, 0];
  const func = [3, 2, 1, 0];
  // No locals; unreachable, the instruction, drop, end.
  const code = [10, 9, 1, 7, 0, 0, ...instruction, 0x1a, 0x0b];
  return WebAssembly.validate(Uint8Array.from([...EMPTY, ...type, ...func, ...code]));
}

function detect(): WasmVariant | 'none' {
  if (!compiles()) return 'none';
  // f32x4.relaxed_madd, f32x4.add
  return has(0xfd, 0x85, 2) ? 'relaxed-simd' : has(0xfd, 0xe4, 1) ? 'simd' : 'none';
}

let detected: WasmVariant | 'none' | undefined;

/** The best module that this engine takes; undefined without SIMD. */
export function wasmVariant(): WasmVariant | undefined {
  detected ??= detect();
  return detected === 'none' ? undefined : detected;
}
