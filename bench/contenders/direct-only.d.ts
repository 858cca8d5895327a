/** The library built by the benchmark to choose `direct` alone: see direct-only.mjs. */
declare module 'direct-only' {
  export * from 'webgpu-conv-transpose2d';
}
