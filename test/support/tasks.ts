/** How long tasks hold up the main thread of a page, by Chromium's trace. */
import { setTimeout as wait } from 'node:timers/promises';
import type { Page } from 'puppeteer';

/** Marks in the trace: what lies between them is recorded. */
const BEGINNING = 'recorded from here on';
const END = 'recorded up to here';
const mark = (page: Page, name: string): Promise<unknown> => page.evaluate((name) => performance.mark(name), name);

/** `tdur` is the processor time of the event's thread, in microseconds. */
interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

export async function collectGarbage(page: Page): Promise<void> {
  const session = await page.createCDPSession();
  try {
    // What a finalizer lets go of is garbage of the next collection.
    for (let round = 0; round < 2; round++) await session.send('HeapProfiler.collectGarbage');
  } finally {
    await session.detach();
  }
}

export async function recordTasks(page: Page): Promise<void> {
  // What came before may have left hundreds of megabytes, which the browser gives back on the page's thread.
  await collectGarbage(page);
  await page.tracing.start({ categories: ['toplevel', '__metadata', 'blink.user_timing'] });
  // The browser records before the page's own process does, and nothing tells when that begins.
  await wait(200);
  await mark(page, BEGINNING);
}

/**
 * Ends the recording. The processor time of the longest task in milliseconds: another program on the machine may hold a
 * page up, but does not count. Undefined if the recording began too late or ended too early.
 */
export async function longestTask(page: Page): Promise<number | undefined> {
  // A task of its own: those before it have ended, else they would have no time.
  await mark(page, END);
  const trace = new TextDecoder().decode(await page.tracing.stop());
  const { traceEvents: events } = JSON.parse(trace) as { traceEvents: readonly TraceEvent[] };
  if (![BEGINNING, END].every((wanted) => events.some(({ name }) => name === wanted))) return undefined;
  const thread = ({ pid, tid }: TraceEvent): string => `${pid} ${tid}`;
  const main = new Set(
    events.filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain').map(thread),
  );
  const tasks = events.filter((event) => event.name === 'ThreadControllerImpl::RunTask' && main.has(thread(event)));
  // Without a time: the one that the last mark was made in.
  const times = tasks.flatMap(({ tdur }) => tdur ?? []);
  if (times.length === 0) throw new Error(`no tasks among ${events.length} events of ${main.size} pages`);
  return times.reduce((longest, time) => Math.max(longest, time)) / 1000;
}
