/** Figures for the test run's summary: scripts/test.mjs adds them up over all tests, by name. */
import type { TestContext } from 'vitest';

declare module 'vitest' {
  interface TaskMeta {
    figures?: Record<string, number>;
  }
}

/** Adds to a figure of the summary. */
export function count({ task }: TestContext, figure: string, by: number): void {
  const figures = (task.meta.figures ??= {});
  figures[figure] = (figures[figure] ?? 0) + by;
}
