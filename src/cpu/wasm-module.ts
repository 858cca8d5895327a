/** The compiled AssemblyScript of assembly/, and what it exports. */
import type { WasmVariant } from './variant.ts';
import { relaxedSimd, simd } from './wasm-binary.ts';
import { fromText } from './wasm-text.ts';

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

const modules = new Map<string, WebAssembly.Module>();

/** The module, for a memory that is shared or not: nothing but a flag of its import differs. */
function compiled(variant: WasmVariant, shared: boolean): WebAssembly.Module {
  const key = `${variant} ${shared}`;
  let module = modules.get(key);
  if (module === undefined) {
    const { text, memoryFlags } = variant === 'simd' ? simd : relaxedSimd;
    const code = fromText(text);
    if (shared) code[memoryFlags] = 3;
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
