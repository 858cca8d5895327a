/** The exports of the compiled AssemblyScript; assembly/ documents them. */
export interface WasmExports {
  /** @param plan the address of a plan's words */
  run(plan: number, first: number, end: number): void;
  expandFloat16(target: number, source: number, count: number): void;
  roundToFloat16(target: number, source: number, count: number): void;
  /** All are integers, addresses and strides in bytes. For tests. */
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
}
