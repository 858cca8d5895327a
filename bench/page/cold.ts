// A page that imports one contender, makes it ready and asks for one result, once.
import { loadContender } from '../contenders/index.ts';
import { makeProblem, type Layer } from '../layer.ts';

declare global {
  var coldStart: (name: string, layer: Layer) => Promise<ColdStart>;
}

export interface ColdStart {
  /** Loading the code. */
  readonly importMs: number;
  /** Until it has its device; for ONNX Runtime, until a first session is there. */
  readonly readyMs: number;
  /** From there to the result in an array: layer or session made, compiled, run and read. */
  readonly firstMs: number;
}

globalThis.coldStart = async (name, layer) => {
  const problem = makeProblem(layer);
  const start = performance.now();
  const contender = await loadContender(name);
  const imported = performance.now();
  await contender.adapter();
  const ready = performance.now();
  if (contender.first) {
    await contender.first(problem);
  } else {
    const instance = await contender.create(problem, contender.settings[0] ?? '');
    await instance.run(1);
    await instance.read();
  }
  const end = performance.now();
  return { importMs: imported - start, readyMs: ready - imported, firstMs: end - ready };
};
