/** Buffers and textures that nothing needs any more, but for a caller's encoder that may not be submitted yet. */
import type { Made } from './scopes.ts';

/** Fewer than these are not looked through. */
const FEW = 64;

/**
 * Held weakly: an encoder keeps what it names alive, and what none names is the collector's. What it has not come to is
 * destroyed when the layer may be sure.
 */
export class Retired {
  #made: WeakRef<Made>[] = [];
  /** How many there may be before those that were collected are left out. */
  #most = FEW;
  /** Whether an encoder that may not be submitted yet names what is not retired yet. */
  named = false;

  /** Destroys it, or lets it be while an encoder may name it. */
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

  /** Destroys them: every encoder has been submitted. */
  destroy(): void {
    for (const reference of this.#made) reference.deref()?.destroy();
    this.#made = [];
    this.named = false;
  }
}
