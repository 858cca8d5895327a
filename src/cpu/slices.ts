/** Runs long work on a page's thread in slices, and yields to the event loop between them. */

/** The length of a slice in milliseconds, about. */
export const SLICE = 12;

/** When the current slice began. One for the whole thread, since short works may follow one another without yielding. */
let began = -Infinity;

/**
 * Goes through the steps of a work, each of a few milliseconds at most.
 * @throws the signal's reason, at the next turn after it was aborted
 */
export async function inSlices<T>(work: Generator<void, T>, stop?: AbortSignal): Promise<T> {
  for (;;) {
    const step = work.next();
    if (step.done === true) return step.value;
    if (performance.now() - began < SLICE) continue;
    await turn();
    stop?.throwIfAborted();
    began = performance.now();
  }
}

/** Yields to the event loop. By a message, since browsers throttle timers to 4 ms. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => {
      port1.close();
      resolve();
    };
    port2.postMessage(undefined);
  });
}
