import type { Problem } from '../../../bench/layer.ts';
import { median } from '../../../bench/measure/statistics.ts';
import { checkSamples, type Check } from './check.ts';
import type { Runner } from './runner.ts';

export interface Measured extends Check {
  readonly medianMs: number;
  readonly minMs: number;
  readonly maxMs: number;
  /** Billions of useful operations in a second, at the median. */
  readonly gflops: number;
  readonly samples: number;
  /** Runs in a sample. */
  readonly repeats: number;
}

/** A sample repeats a run until it takes about this long: clocks in browsers are coarse, to 0.1 ms where they are worst. */
const SAMPLE_MS = 20;
/** Recording them on the page's thread must not hold the page up. */
const MOST_REPEATS = 200;
const MOST_SAMPLES = 21;
const LEAST_SAMPLES = 3;
/** Time for all samples of one layer. */
const BUDGET_MS = 800;

/** Runs a layer until caches and clocks have settled, takes its time again and again, and checks the result. */
export async function measure(problem: Problem, runner: Runner, signal: AbortSignal): Promise<Measured> {
  const time = async (repeats: number): Promise<number> => {
    // The page gets its turn before each sample: small layers run on its own thread.
    await new Promise((resolve) => setTimeout(resolve, 0));
    signal.throwIfAborted();
    const start = performance.now();
    await runner.run(repeats);
    return (performance.now() - start) / repeats;
  };
  const first = await time(1);
  // A single short run is mostly waiting; a few in one go tell better.
  const estimate = first < 5 ? Math.max(await time(3), 0.01) : await time(1);
  const repeats = Math.max(1, Math.min(MOST_REPEATS, Math.round(SAMPLE_MS / estimate)));
  const times: number[] = [];
  const start = performance.now();
  while (times.length < MOST_SAMPLES && (times.length < LEAST_SAMPLES || performance.now() - start < BUDGET_MS)) {
    times.push(await time(repeats));
  }
  // Last, since a GPU that was lost on the way finishes its work in no time and leaves nothing to read.
  const check = checkSamples(problem, await runner.read());
  const medianMs = median(times);
  return {
    ...check,
    medianMs,
    minMs: Math.min(...times),
    maxMs: Math.max(...times),
    gflops: problem.flops / medianMs / 1e6,
    samples: times.length,
    repeats,
  };
}
