// A transposed convolution's inner loops on SIMD. The host (src/cpu) owns the memory and the order of the work and passes
// addresses; nothing here allocates or keeps state, so that several threads may run it over one memory.

export { activate } from './activation';
export { expandFloat16, roundToFloat16 } from './float16';
export { interleave } from './interleave';
export { multiplyPoint, multiplyPositions } from './multiply';
export { gatherRow, multiply1Row, multiply2Rows, multiply3Rows, multiply4Rows } from './multiply-rows';
export { fillStrip } from './strip';
