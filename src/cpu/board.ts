/** The shared list of a call's jobs, from which several threads take theirs. */
import type { WasmJobs } from './wasm-runner.ts';

/** Can be sent to workers; `words` is shared memory. */
export interface Board {
  readonly jobs: number;
  readonly threads: number;
  readonly words: Int32Array<SharedArrayBuffer>;
}

/** The words: the next job to take, whether to stop, how many workers are inside, how many jobs are done, and for each job whether it is. */
const NEXT = 0;
const STOP = 1;
const INSIDE = 2;
const DONE = 3;
const JOBS = 4;

/** Milliseconds in which a worker leaves after its last job, unless its core is busy with something else. */
const LEAVING = 0.02;

export function newBoard(jobs: number, threads: number): Board {
  return { jobs, threads, words: new Int32Array(new SharedArrayBuffer(4 * (JOBS + jobs))) };
}

/** No thread begins another job after this. */
export function stopAll({ words }: Board): void {
  Atomics.store(words, STOP, 1);
}

export const isStopped = ({ words }: Board): boolean => Atomics.load(words, STOP) !== 0;
const isDone = ({ jobs, words }: Board): boolean => Atomics.load(words, DONE) === jobs;
const isEmpty = ({ words }: Board): boolean => Atomics.load(words, INSIDE) === 0;

/** A worker's part: as many jobs as it gets. Of a call that was stopped or is done, it touches no memory. */
export function takePart(board: Board, start: () => WasmJobs): void {
  Atomics.add(board.words, INSIDE, 1);
  try {
    if (isStopped(board)) return;
    const steps = draw(board, start());
    while (steps.next().done !== true);
  } finally {
    Atomics.sub(board.words, INSIDE, 1);
  }
}

/** The calling thread's measurements of a call. */
export interface Share {
  /** Milliseconds that it spent on the call, without turns of its event loop. */
  readonly spent: number;
  /** Milliseconds that it would have needed alone, estimated from the jobs that it did; undefined if it did none. */
  readonly alone: number | undefined;
}

/**
 * The calling thread's part: it takes jobs and, at the end, repeats those that workers have taken but not finished, so that it
 * never waits for a busy worker longer than a job takes. Both write the same numbers to the same places.
 */
export function* takePartAndFinish(board: Board, run: WasmJobs): Generator<void, Share> {
  const times: number[] = [];
  const timed: WasmJobs = (first, end) => {
    const began = performance.now();
    run(first, end);
    times.push(performance.now() - began);
  };
  yield* draw(board, timed);
  const usual = usualTime(times);
  const began = performance.now();
  waitUntil(() => isDone(board), usual ?? 0);
  const waited = performance.now() - began;
  for (let job = board.jobs - 1; job >= 0 && !isDone(board) && !isStopped(board); job--) {
    if (Atomics.load(board.words, JOBS + job) !== 0) continue;
    runOne(board, timed, job);
    yield;
  }
  const spent = times.reduce((sum, time) => sum + time, waited);
  return { spent, alone: usual === undefined ? undefined : board.jobs * usual };
}

/** The mean, with every time capped at twice the median: a job whose thread loses its core takes arbitrarily long. */
function usualTime(times: readonly number[]): number | undefined {
  if (times.length === 0) return undefined;
  const most = 2 * [...times].sort((a, b) => a - b)[times.length >> 1]!;
  return times.reduce((sum, time) => sum + Math.min(time, most), 0) / times.length;
}

/** @returns whether no worker touches the call's memory any more, nor will */
export function close(board: Board): boolean {
  stopAll(board);
  waitUntil(() => isEmpty(board), LEAVING);
  return isEmpty(board);
}

function* draw(board: Board, run: WasmJobs): Generator<void, void> {
  const { jobs, threads, words } = board;
  for (;;) {
    const first = Atomics.load(words, NEXT);
    if (first >= jobs) return;
    // Several neighbours at a time, since they share strips; fewer towards the end, so that all threads finish together.
    const end = first + Math.max(1, Math.floor((jobs - first) / (4 * threads)));
    if (Atomics.compareExchange(words, NEXT, first, end) !== first) continue;
    for (let job = first; job < end; job++) {
      if (isStopped(board)) return;
      runOne(board, run, job);
      yield;
    }
  }
}

function runOne({ words }: Board, run: WasmJobs, job: number): void {
  run(job, job + 1);
  if (Atomics.exchange(words, JOBS + job, 1) === 0) Atomics.add(words, DONE, 1);
}

function waitUntil(holds: () => boolean, milliseconds: number): void {
  const end = performance.now() + milliseconds;
  while (!holds() && performance.now() < end);
}
