/** Whether the calling thread is better off with workers: it is not while something else holds the cores that they would run on. */
import type { Share } from './board.ts';

/** How much faster calls must be with workers than without, about. */
const WORTH = 1.2;
/** Milliseconds of calls with workers that are judged together: the first of short ones finds cores and caches asleep. */
const TRY = 4;
/** How many times as many calls go without workers before they are tried again. */
const REST = 12;

/** Of the calls of one plan. */
export class Help {
  /** What late calls would have taken alone, over what they took: it halves what it knew with each. */
  #gain = 2;
  /** Of the try under way. */
  #calls = 0;
  #spent = 0;
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
    // None counts for more than two: a job that was interrupted makes a call look like much.
    this.#gain = (this.#gain + Math.min(alone / spent, 2)) / 2;
    this.#calls++;
    this.#spent += spent;
    if (this.#spent < TRY) return;
    if (this.#gain < WORTH) this.#rest = REST * this.#calls;
    this.#calls = 0;
    this.#spent = 0;
  }
}
