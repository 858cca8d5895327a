/** The compiled AssemblyScript of assembly/. The page compiles it once and sends it to its workers. */
import { loadWasm } from '../load.ts';
import type { WasmVariant } from './variant.ts';
import { fromText } from './wasm-text.ts';

const modules = new Map<string, Promise<WebAssembly.Module>>();

/** The module for shared or for other memory: only a flag of its memory import differs. The memory must have a maximum. */
export function wasmModule(variant: WasmVariant, shared: boolean): Promise<WebAssembly.Module> {
  const key = `${variant} ${shared}`;
  let module = modules.get(key);
  if (module === undefined) {
    module = compile(variant, shared);
    modules.set(key, module);
    // Forgotten, so that the next call tries again.
    module.catch(() => modules.delete(key));
  }
  return module;
}

async function compile(variant: WasmVariant, shared: boolean): Promise<WebAssembly.Module> {
  const { text, memoryFlags } = await loadWasm(variant);
  const code = fromText(text);
  if (shared) code[memoryFlags] = 3;
  // Not by the constructor, which Chromium up to 114 refuses on a page's main thread from 4 kB on.
  return WebAssembly.compile(code);
}
