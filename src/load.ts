/** Loads what most pages never need, from chunks of their own: the CPU path, and the code that verifies calls. */
import type * as Calls from './cpu/calls.ts';
import type * as CpuGradients from './cpu/gradients.ts';
import type * as Plain from './cpu/plain.ts';
import { wasmVariant, type WasmVariant } from './cpu/variant.ts';
import { ConvTranspose2dError } from './errors.ts';
import type * as Verify from './verify.ts';

/** What computes calls on the CPU, with the WebAssembly that this engine takes, if any. @throws ConvTranspose2dError NOT_READY */
export async function loadCalls(): Promise<typeof Calls> {
  const variant = wasmVariant();
  const parts = Promise.all([import('./cpu/calls.ts'), variant && loadWasm(variant)]);
  const [calls] = await loaded('the CPU path', parts);
  return calls;
}

/** A WebAssembly module as text (see cpu/wasm-text.ts), and the byte that says whether the memory it imports is shared. */
export function loadWasm(variant: WasmVariant): Promise<{ readonly text: string; readonly memoryFlags: number }> {
  return variant === 'simd' ? import('./cpu/wasm-simd.ts') : import('./cpu/wasm-relaxed-simd.ts');
}

/** The CPU path without WebAssembly. @throws ConvTranspose2dError NOT_READY */
export function loadPlain(): Promise<typeof Plain> {
  return loaded('the CPU path', import('./cpu/plain.ts'));
}

/** What computes gradients there. @throws ConvTranspose2dError NOT_READY */
export function loadGradients(): Promise<typeof CpuGradients> {
  return loaded('the CPU path', import('./cpu/gradients.ts'));
}

/** What computes a sample of a call again. @throws ConvTranspose2dError NOT_READY */
export function loadVerify(): Promise<typeof Verify> {
  return loaded('verify', import('./verify.ts'));
}

async function loaded<Module>(what: string, chunk: Promise<Module>): Promise<Module> {
  try {
    return await chunk;
  } catch (cause) {
    const message = `the code of ${what} did not load, which the next call tries again: ${String(cause)}`;
    throw new ConvTranspose2dError('NOT_READY', message, { cause });
  }
}
