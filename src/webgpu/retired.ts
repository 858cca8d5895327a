/** Buffers and textures that are no longer needed, except perhaps by a caller's encoder that is not submitted yet. */
import type { Made } from './scopes.ts';

/** Below this many, the list is not searched for collected ones. */
const FEW = 64;

/**
 * Held weakly: an encoder keeps alive what it refers to, and the garbage collector frees what no encoder refers to. What it has
 * not collected is destroyed when every encoder has been submitted.
 */
export class Retired {
  #made: WeakRef<Made>[] = [];
  /** At this length, collected ones are removed from the list. */
  #most = FEW;
  /** Whether an encoder that may not be submitted yet may refer to objects in use. */
  named = false;

  /** Destroys it, or keeps it as long as an encoder may refer to it. */
  add(made: Made): void {
    if (!this.named) {
      made.destroy();
      return;
    }
    this.#made.push(new WeakRef(made));
    if (this.#made.length < this.#most) return;
    this.#made = this.#made.filter((reference) => reference.deref() !== undefined);
    this.#most = Math.max(FEW, 2 * this.#made.length);
  }

  /** Destroys all. To be called when every encoder has been submitted. */
  destroy(): void {
    for (const reference of this.#made) reference.deref()?.destroy();
    this.#made = [];
    this.named = false;
  }
}
