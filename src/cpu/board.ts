/** Where several threads draw the jobs of one call from. */
import type { WasmJobs } from './wasm-runner.ts';

/** Plain data, and the same memory for all that it is sent to. */
export interface Board {
  readonly jobs: number;
  readonly threads: number;
  readonly words: Int32Array<SharedArrayBuffer>;
}

/** The words: the first job that nobody has taken, whether to stop, how many workers take part, how many jobs are done, and which. */
const NEXT = 0;
const STOP = 1;
const INSIDE = 2;
const DONE = 3;
const JOBS = 4;

/** Milliseconds within which a worker that has done its last job is gone, unless its core does something else. */
const LEAVING = 0.02;

export function newBoard(jobs: number, threads: number): Board {
  return { jobs, threads, words: new Int32Array(new SharedArrayBuffer(4 * (JOBS + jobs))) };
}

/** Nobody begins another job. */
export function stopAll({ words }: Board): void {
  Atomics.store(words, STOP, 1);
}

const isStopped = ({ words }: Board): boolean => Atomics.load(words, STOP) !== 0;
const isDone = ({ jobs, words }: Board): boolean => Atomics.load(words, DONE) === jobs;
const isEmpty = ({ words }: Board): boolean => Atomics.load(words, INSIDE) === 0;

/** A worker's part: as many jobs as it gets hold of. It touches no memory of a call that was stopped or is done. */
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

/** What the calling thread saw of a call. */
export interface Share {
  /** Milliseconds that it spent on it: turns of its event loop do not count. */
  readonly spent: number;
  /** Milliseconds that all jobs would have taken it, by those that it did; undefined if it did none. */
  readonly alone: number | undefined;
}

/**
 * The calling thread's part: it draws jobs and, at the end, does those again that workers have taken and are late with, so
 * that it waits for a worker whose core is busy with something else no longer than a job takes. Both write the same numbers
 * to the same places.
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

/** The mean, where none counts for more than two: a job takes long when its thread loses its core meanwhile. */
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
    // Neighbours at once, for they share strips; fewer and fewer, so that all threads end together.
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
