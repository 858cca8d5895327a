/** Whether calls gain from workers: they do not while something else keeps the workers' cores busy. See bench/NOTES.md, Threads. */
import type { Share } from './board.ts';

/** By how much workers must make calls faster, about. */
const WORTH = 1.1;
/** Milliseconds of calls that make one try: a single short call may find cores asleep and caches cold. */
const TRY = 4;
/** After a try without gain, calls without workers for each call of the try; doubled after each further such try, up to the latter. */
const SHORT_REST = 4;
const LONG_REST = 16;

/** The judgement for the calls of one plan. */
export class Help {
  /** The time that calls would have taken alone over the time they took; each try counts as much as all before it. */
  #gain = 2;
  /** Of the current try: calls, and milliseconds. */
  #calls = 0;
  #alone = 0;
  #spent = 0;
  #restAfter = SHORT_REST;
  /** How many calls are still to run without workers. */
  #rest = 0;

  /** Whether the next call should use workers. Must be called once for each. */
  isWanted(): boolean {
    if (this.#rest === 0) return true;
    this.#rest--;
    return false;
  }

  /** Takes in the measurements of a call with workers. */
  had({ spent, alone }: Share): void {
    if (alone === undefined || spent === 0) return;
    this.#calls++;
    this.#spent += spent;
    // Capped: an interrupted job would make the time alone look arbitrarily long.
    this.#alone += Math.min(alone, 2 * spent);
    if (this.#spent < TRY) return;
    this.#gain = (this.#gain + this.#alone / this.#spent) / 2;
    if (this.#gain < WORTH) {
      this.#rest = this.#restAfter * this.#calls;
      this.#restAfter = Math.min(2 * this.#restAfter, LONG_REST);
    } else this.#restAfter = SHORT_REST;
    this.#calls = this.#alone = this.#spent = 0;
  }
}
