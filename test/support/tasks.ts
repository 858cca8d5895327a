/** How long tasks hold up the main thread of a page, by Chromium's trace. */
import type { Page } from 'puppeteer';

/** `tdur` is the processor time of the event's thread, in microseconds. */
interface TraceEvent {
  readonly name: string;
  readonly pid: number;
  readonly tid: number;
  readonly tdur?: number;
  readonly args?: { readonly name?: string };
}

export async function recordTasks(page: Page): Promise<void> {
  await page.tracing.start({ categories: ['toplevel', '__metadata'] });
}

/**
 * Ends the recording. The processor time of the longest task in milliseconds: another program on the machine may hold a
 * page up, but does not count.
 */
export async function longestTask(page: Page): Promise<number> {
  const trace = new TextDecoder().decode(await page.tracing.stop());
  const { traceEvents: events } = JSON.parse(trace) as { traceEvents: readonly TraceEvent[] };
  const thread = ({ pid, tid }: TraceEvent): string => `${pid} ${tid}`;
  const main = new Set(
    events.filter(({ name, args }) => name === 'thread_name' && args?.name === 'CrRendererMain').map(thread),
  );
  const tasks = events.filter((event) => event.name === 'ThreadControllerImpl::RunTask' && main.has(thread(event)));
  // Without a time: those that were under way when the recording ended.
  const times = tasks.flatMap(({ tdur }) => tdur ?? []);
  if (times.length === 0) throw new Error(`no tasks among ${events.length} events of ${main.size} pages`);
  return times.reduce((longest, time) => Math.max(longest, time)) / 1000;
}
