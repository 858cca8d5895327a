export const GPU_TAKEN =
  'The GPU was taken away from the page, as happens when its driver restarts or the computer sleeps.';

const NOT_LOADED = 'A part of this page could not be loaded. There may be no connection.';

const CAUSES: Record<string, string> = {
  NOT_READY: NOT_LOADED,
  UNSUPPORTED: 'This browser offers the page no GPU that it can use.',
  OUT_OF_MEMORY: 'The memory did not suffice. Something smaller may fit.',
  DEVICE_LOST: GPU_TAKEN,
  GPU_ERROR: 'The GPU reported an error.',
};

/** A sentence that ends with what the library says, for those who know more. */
export const withDetail = (sentence: string, detail: string): string =>
  detail === '' ? sentence : `${sentence.replace(/\.$/, '')} (${detail}).`;

/** What went wrong, for someone who has never heard of the library. */
export function plainWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const code = 'code' in error ? String(error.code) : '';
  const cause = CAUSES[code];
  return cause ? withDetail(cause, error.message) : error.message;
}

/** What the page fetches when it is needed. @throws Error in plain words where it does not come */
export async function fetched<T>(part: Promise<T>): Promise<T> {
  try {
    return await part;
  } catch (cause) {
    throw new Error(NOT_LOADED, { cause });
  }
}

/** Height and width; one number where they agree. */
export const shown = ([height, width]: readonly [number, number]): string =>
  height === width ? String(height) : `${height} × ${width}`;

export function duration(milliseconds: number): string {
  if (milliseconds >= 1000) return `${(milliseconds / 1000).toFixed(2)} s`;
  const digits = milliseconds < 1 ? 2 : milliseconds < 10 ? 1 : 0;
  return `${milliseconds.toFixed(digits)} ms`;
}
