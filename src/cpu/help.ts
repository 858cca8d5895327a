/** Whether the calling thread is better off with workers: it is not while something else holds the cores that they would run on. */
import type { Share } from './board.ts';

/** How much faster calls must be with workers than without, about. */
const WORTH = 1.1;
/** Milliseconds of calls with workers that are judged together: the first of short ones finds cores and caches asleep. */
const TRY = 4;
/** How many times as many calls as a try has go without workers after one; twice as many each time that it was in vain again. */
const SHORT_REST = 4;
const LONG_REST = 16;

/** Of the calls of one plan. */
export class Help {
  /** What calls would have taken alone, over what they took: each try halves what was known. */
  #gain = 2;
  /** Of the try under way: calls, and milliseconds. */
  #calls = 0;
  #alone = 0;
  #spent = 0;
  #restAfter = SHORT_REST;
  /** Calls still to go without. */
  #rest = 0;

  /** Asked once a call. */
  isWanted(): boolean {
    if (this.#rest === 0) return true;
    this.#rest--;
    return false;
  }

  /** After a call with workers. */
  had({ spent, alone }: Share): void {
    if (alone === undefined || spent === 0) return;
    this.#calls++;
    this.#spent += spent;
    // None counts for more than two: a job that was interrupted makes a call look like much.
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
