/** The compiled AssemblyScript of assembly/. The page compiles it once and sends it to its workers. */
import { loadWasm } from '../load.ts';
import type { WasmVariant } from './variant.ts';
import { fromText } from './wasm-text.ts';

const modules = new Map<string, WebAssembly.Module>();

/** The module for shared or for other memory: only a flag of its memory import differs. The memory must have a maximum. */
export async function wasmModule(variant: WasmVariant, shared: boolean): Promise<WebAssembly.Module> {
  const key = `${variant} ${shared}`;
  let module = modules.get(key);
  if (module === undefined) {
    const { text, memoryFlags } = await loadWasm(variant);
    const code = fromText(text);
    if (shared) code[memoryFlags] = 3;
    module = new WebAssembly.Module(code);
    modules.set(key, module);
  }
  return module;
}
