import { commands } from 'vitest/browser';
import type {} from './puppeteer-provider.ts';

/** The longest that some work holds the page's thread without a turn of its event loop: milliseconds of processor time. */
export async function longestHold(work: () => Promise<unknown>): Promise<number> {
  await commands.recordTasks();
  // The browser records before the page's own process does.
  await new Promise((resolve) => setTimeout(resolve, 200));
  await work();
  return commands.longestTask();
}
