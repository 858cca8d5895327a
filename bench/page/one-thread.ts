// The frame that runs the library on one thread: it says one core to whoever asks how many there are.
import { createOnCpu as create } from '../contenders/ours-cpu.ts';

declare global {
  var createOnCpu: typeof create;
}

// Arrays of the page outside are of another realm: copies are this frame's own.
globalThis.createOnCpu = (problem, ownOutput) =>
  create({ ...problem, input: new Float32Array(problem.input), weight: new Float32Array(problem.weight) }, ownOutput);
parent.postMessage('ready', location.origin);
