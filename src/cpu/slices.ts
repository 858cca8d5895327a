/** Long work on a thread that others wait for: cut into slices, with turns of the event loop between them. */

/** A slice's milliseconds, about. */
export const SLICE = 12;

/** When this thread's slice began: of all works together, since short ones may follow one another without a turn. */
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

/** Resolves after the event loop has had a turn. A message, since timers are throttled to 4 ms. */
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
