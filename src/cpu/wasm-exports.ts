/** What the compiled AssemblyScript of assembly/ exports. */

/** What is described in assembly/; all arguments but `negativeSlope` are integers, addresses and strides in bytes. */
export interface WasmExports {
  fillStrip(
    strip: number,
    planeStride: number,
    stripRowStride: number,
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
