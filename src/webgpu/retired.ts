/** Buffers and textures that nothing needs any more, but for a caller's encoder that may not be submitted yet. */

/** Fewer than these are not looked through. */
const FEW = 64;

/**
 * Held weakly: an encoder keeps what it names alive, and what none names is the collector's. What it has not come to is
 * destroyed when the layer may be sure.
 */
export class Retired {
  #buffers: WeakRef<GPUBuffer | GPUTexture>[] = [];
  /** How many there may be before those that were collected are left out. */
  #most = FEW;

  add(buffer: GPUBuffer | GPUTexture): void {
    this.#buffers.push(new WeakRef(buffer));
    if (this.#buffers.length < this.#most) return;
    this.#buffers = this.#buffers.filter((reference) => reference.deref() !== undefined);
    this.#most = Math.max(FEW, 2 * this.#buffers.length);
  }

  /** Destroys them: every encoder has been submitted. */
  destroy(): void {
    for (const reference of this.#buffers) reference.deref()?.destroy();
    this.#buffers = [];
  }
}
