/**
 * Waits for work that cannot be aborted itself, no longer than until the signal.
 * @throws the signal's reason, at once when it is aborted
 */
export async function orAborted<T>(work: Promise<T>, stop: AbortSignal): Promise<T> {
  let hear!: () => void;
  const aborted = new Promise<void>((resolve) => {
    hear = resolve;
  });
  stop.addEventListener('abort', hear);
  if (stop.aborted) hear();
  try {
    await Promise.race([work, aborted]);
  } finally {
    stop.removeEventListener('abort', hear);
  }
  stop.throwIfAborted();
  return work;
}
