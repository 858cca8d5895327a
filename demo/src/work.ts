/** Milliseconds of work after which the page gets its turn: less than a frame. */
const WORK_SLICE = 12;

/** Makes a function to be awaited between pieces of work; now and then it lets the page draw and answer. */
export function makeBreather(): () => Promise<void> {
  let since = performance.now();
  return async () => {
    if (performance.now() - since < WORK_SLICE) return;
    await new Promise((resolve) => setTimeout(resolve, 0));
    since = performance.now();
  };
}

/** Runs work that comes in pieces; the page gets its turn between them, and after the last. */
export async function inPieces<T>(work: Iterator<unknown, T>): Promise<T> {
  const breathe = makeBreather();
  for (;;) {
    const { done, value } = work.next();
    if (done) {
      await new Promise((resolve) => setTimeout(resolve, 0));
      return value;
    }
    await breathe();
  }
}
