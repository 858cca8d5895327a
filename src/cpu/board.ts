/** Where several threads draw the jobs of one call from. */
import type { WasmJobs } from './wasm-runner.ts';

/** Plain data, and the same memory for all that it is sent to. */
export interface Board {
  readonly jobs: number;
  readonly threads: number;
  readonly words: Int32Array<SharedArrayBuffer>;
}

/** The words: the first job that nobody has taken, how many are done, and whether to stop. */
const NEXT = 0;
const DONE = 1;
const STOP = 2;

export function newBoard(jobs: number, threads: number): Board {
  return { jobs, threads, words: new Int32Array(new SharedArrayBuffer(12)) };
}

/** Runs as many jobs as this thread gets hold of; yields after each. */
export function* draw({ jobs, threads, words }: Board, run: WasmJobs): Generator<void, void> {
  for (;;) {
    const first = Atomics.load(words, NEXT);
    if (first >= jobs) return;
    // Neighbours at once, for they share strips; fewer and fewer, so that all threads end together.
    const end = first + Math.max(1, Math.floor((jobs - first) / (4 * threads)));
    if (Atomics.compareExchange(words, NEXT, first, end) !== first) continue;
    for (let job = first; job < end; job++) {
      if (Atomics.load(words, STOP) !== 0) return;
      run(job, job + 1);
      Atomics.add(words, DONE, 1);
      yield;
    }
  }
}

export function isDone({ jobs, words }: Board): boolean {
  return Atomics.load(words, DONE) === jobs;
}

/** Nobody begins another job. */
export function stop({ words }: Board): void {
  Atomics.store(words, STOP, 1);
}
