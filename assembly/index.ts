// A transposed convolution on SIMD. The host (src/cpu) owns the memory, plans the work and passes addresses; nothing here
// allocates or keeps state but in a thread's working memory, so that several threads may run it over one memory.

export { expandFloat16, roundToFloat16 } from './float16';
export { interleave } from './interleave';
export { run } from './run';
