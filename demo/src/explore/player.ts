/** Plays steps at a walking pace until it is stopped or told that there are no more. */
const PACE = 700;

export class Player {
  #timer: ReturnType<typeof setInterval> | undefined;
  readonly #step: () => boolean;
  /** Told when playing begins or ends. */
  onChange: ((playing: boolean) => void) | undefined;

  /** `step` makes one step and tells whether there are more. */
  constructor(step: () => boolean, signal: AbortSignal) {
    this.#step = step;
    signal.addEventListener('abort', () => {
      this.stop();
    });
  }

  get playing(): boolean {
    return this.#timer !== undefined;
  }

  start(): void {
    if (this.playing) return;
    this.#timer = setInterval(() => {
      if (!this.#step()) this.stop();
    }, PACE);
    this.onChange?.(true);
  }

  stop(): void {
    if (!this.playing) return;
    clearInterval(this.#timer);
    this.#timer = undefined;
    this.onChange?.(false);
  }
}
