import { commands } from 'vitest/browser';
import type {} from './puppeteer-provider.ts';

/**
 * The longest that some work holds the page's thread without a turn of its event loop: milliseconds of processor time. The work
 * is done again where the recording missed a part of it.
 */
export async function longestHold(work: () => Promise<unknown>): Promise<number> {
  for (let attempt = 0; attempt < 3; attempt++) {
    await commands.recordTasks();
    await work();
    const longest = await commands.longestTask();
    if (longest !== undefined) return longest;
  }
  throw new Error('the browser was three times too late, or too early, to record what the page did');
}
