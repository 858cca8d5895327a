import { defineBrowserCommand, defineBrowserProvider } from '@vitest/browser';
import type { Browser, CDPSession, Page } from 'puppeteer';
import type { BrowserProvider, BrowserProviderOption } from 'vitest/node';
import { collectPageErrors, launchChromium } from './chromium.ts';
import { launchFirefox } from './firefox.ts';
import * as tasks from './tasks.ts';

declare module 'vitest/browser' {
  // Vitest declares them with the providers of its own.
  export const commands: {
    /** Errors that the page reported since the last call. */
    takePageErrors: () => Promise<string[]>;
    /** Bytes of the page's JavaScript heap, after a collection. */
    collectedHeap: () => Promise<number>;
    /** Begins to record the tasks of the page's main thread. */
    recordTasks: () => Promise<void>;
    /** Ends that: see tasks.ts. */
    longestTask: () => Promise<number | undefined>;
    /** Milliseconds of processor time that Chromium's GPU process has taken so far. */
    gpuProcessorTime: () => Promise<number>;
    /** Crashes the browser's GPU process. */
    crashGpuProcess: () => Promise<void>;
  };
}

const launchers = { chromium: launchChromium, firefox: launchFirefox };

/** Vitest's browser mode in one page of one browser, driven by puppeteer. */
class PuppeteerProvider implements BrowserProvider {
  readonly name = 'puppeteer';
  readonly supportsParallelism = false;
  #browser: Promise<Browser> | undefined;
  readonly #pages = new Map<string, Page>();
  readonly #errors = new Map<string, string[]>();
  readonly #name: keyof typeof launchers;

  constructor(name: keyof typeof launchers) {
    this.#name = name;
  }

  getCommandsContext(): Record<string, unknown> {
    return {};
  }

  takeErrors(sessionId: string): string[] {
    return this.#errors.get(sessionId)?.splice(0) ?? [];
  }

  async collectedHeap(sessionId: string): Promise<number> {
    const page = this.#page(sessionId);
    await tasks.collectGarbage(page);
    const session = await page.createCDPSession();
    try {
      return (await session.send('Runtime.getHeapUsage')).usedSize;
    } finally {
      await session.detach();
    }
  }

  recordTasks(sessionId: string): Promise<void> {
    return tasks.recordTasks(this.#page(sessionId));
  }

  longestTask(sessionId: string): Promise<number | undefined> {
    return tasks.longestTask(this.#page(sessionId));
  }

  #page(sessionId: string): Page {
    const page = this.#pages.get(sessionId);
    if (page === undefined) throw new Error('no page of that session');
    return page;
  }

  async gpuProcessorTime(): Promise<number> {
    const { processInfo } = await this.#askBrowser((session) => session.send('SystemInfo.getProcessInfo'));
    const gpu = processInfo.find(({ type }) => type === 'GPU');
    if (gpu === undefined) throw new Error('no GPU process');
    return gpu.cpuTime * 1000;
  }

  async crashGpuProcess(): Promise<void> {
    await this.#askBrowser((session) => session.send('Browser.crashGpuProcess'));
  }

  async #askBrowser<T>(ask: (session: CDPSession) => Promise<T>): Promise<T> {
    const browser = await this.#browser;
    if (browser === undefined) throw new Error('no browser yet');
    const session = await browser.target().createCDPSession();
    try {
      return await ask(session);
    } finally {
      await session.detach();
    }
  }

  async openPage(sessionId: string, url: string): Promise<void> {
    this.#browser ??= launchers[this.#name]();
    const browser = await this.#browser;
    const page = await browser.newPage();
    this.#pages.set(sessionId, page);
    this.#errors.set(sessionId, collectPageErrors(page, { console: this.#name === 'chromium' }));
    await page.goto(url, { timeout: 60_000 });
  }

  async close(): Promise<void> {
    await (await this.#browser)?.close();
    const late = [...this.#errors.values()].flat();
    if (late.length === 0) return;
    // Reported after the last test had ended, where no test could fail for it any more.
    console.error(['The page reported errors outside of tests:', ...late].join('\n'));
    process.exitCode = 1;
  }
}

export const takePageErrors = defineBrowserCommand(({ provider, sessionId }) =>
  provider instanceof PuppeteerProvider ? provider.takeErrors(sessionId) : [],
);

export const collectedHeap = defineBrowserCommand(({ provider, sessionId }) => {
  if (!(provider instanceof PuppeteerProvider)) throw new Error("the heap is puppeteer's to ask for");
  return provider.collectedHeap(sessionId);
});

export const recordTasks = defineBrowserCommand(({ provider, sessionId }) => {
  if (!(provider instanceof PuppeteerProvider)) throw new Error("tasks are puppeteer's to record");
  return provider.recordTasks(sessionId);
});

export const longestTask = defineBrowserCommand(({ provider, sessionId }) => {
  if (!(provider instanceof PuppeteerProvider)) throw new Error("tasks are puppeteer's to record");
  return provider.longestTask(sessionId);
});

export const gpuProcessorTime = defineBrowserCommand(({ provider }) => {
  if (!(provider instanceof PuppeteerProvider)) throw new Error("processes are puppeteer's to ask for");
  return provider.gpuProcessorTime();
});

export const crashGpuProcess = defineBrowserCommand(async ({ provider }) => {
  if (provider instanceof PuppeteerProvider) await provider.crashGpuProcess();
});

export function puppeteerProvider(browser: keyof typeof launchers): BrowserProviderOption {
  return defineBrowserProvider({
    name: 'puppeteer',
    supportedBrowser: [browser],
    providerFactory: () => new PuppeteerProvider(browser),
  });
}
