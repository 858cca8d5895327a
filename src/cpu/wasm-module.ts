/** The compiled AssemblyScript of assembly/: which of its two modules an engine takes, and what they export. */
import { relaxedSimd, simd, type WasmBinary } from './wasm-binary.ts';

export type WasmVariant = 'simd' | 'relaxed-simd';

/** What is described in assembly/; all arguments but `negativeSlope` are integers, addresses and strides in bytes. */
export interface WasmExports {
  fillStrip(
    strip: number,
    planeStride: number,
    rows: number,
    columns: number,
    source: number,
    channels: number,
    channelStride: number,
    rowStride: number,
    columnStride: number,
    top: number,
    bottom: number,
    left: number,
    right: number,
  ): void;
  multiplyPositions: PanelKernel;
  multiplyPoint: PanelKernel;
  multiply1Row: RowKernel;
  multiply2Rows: RowKernel;
  multiply3Rows: RowKernel;
  multiply4Rows: RowKernel;
  gatherRow(
    target: number,
    step: number,
    bias: number,
    weights: number,
    stride: number,
    channels: number,
    taps: number,
    tapCount: number,
  ): void;
  interleave(
    results: number,
    phases: number,
    stride: number,
    resultChannelStride: number,
    resultRowStride: number,
    output: number,
    channelStride: number,
    rowStride: number,
    columnStride: number,
    channels: number,
    rows: number,
    columns: number,
  ): void;
  expandFloat16(target: number, source: number, count: number): void;
  roundToFloat16(target: number, source: number, count: number): void;
  activate(values: number, count: number, kind: number, negativeSlope: number): void;
}

export type PanelKernel = (
  strip: number,
  rowStride: number,
  planeStride: number,
  channels: number,
  weights: number,
  bias: number,
  taps: number,
  tapCount: number,
  rows: number,
  columns: number,
  results: number,
  channelStride: number,
) => void;

export type RowKernel = (
  strip: number,
  planeStride: number,
  channels: number,
  weights: number,
  taps: number,
  tapCount: number,
  positions: number,
  results: number,
  resultStride: number,
) => void;

const bytes = ({ hex }: WasmBinary): Uint8Array<ArrayBuffer> =>
  Uint8Array.from({ length: hex.length / 2 }, (_, at) => parseInt(hex.slice(2 * at, 2 * at + 2), 16));

/** The least there is to compile: a header and no sections. */
const EMPTY = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);

/** Whether there is WebAssembly, and the page's Content-Security-Policy lets it compile, which validation does not ask. */
function compiles(): boolean {
  try {
    return new WebAssembly.Module(EMPTY) instanceof WebAssembly.Module;
  } catch {
    return false;
  }
}

/** The best module that this engine takes; undefined without SIMD. */
export function wasmVariant(): WasmVariant | undefined {
  if (!compiles()) return undefined;
  if (WebAssembly.validate(bytes(relaxedSimd))) return 'relaxed-simd';
  return WebAssembly.validate(bytes(simd)) ? 'simd' : undefined;
}

const modules = new Map<string, WebAssembly.Module>();

/** The module, for a memory that is shared or not: nothing but a flag of its import differs. */
function compiled(variant: WasmVariant, shared: boolean): WebAssembly.Module {
  const key = `${variant} ${shared}`;
  let module = modules.get(key);
  if (module === undefined) {
    const binary = variant === 'simd' ? simd : relaxedSimd;
    const code = bytes(binary);
    if (shared) code[binary.memoryFlags] = 3;
    module = new WebAssembly.Module(code);
    modules.set(key, module);
  }
  return module;
}

/** By its name: pages that are not cross-origin isolated lack the global `SharedArrayBuffer`. */
function isShared({ buffer }: WebAssembly.Memory): boolean {
  return Object.prototype.toString.call(buffer) === '[object SharedArrayBuffer]';
}

/** The module's functions over a memory, which must have a maximum. */
export function instantiate(memory: WebAssembly.Memory, variant: WasmVariant): WasmExports {
  const instance = new WebAssembly.Instance(compiled(variant, isShared(memory)), { env: { memory } });
  return instance.exports as unknown as WasmExports;
}
