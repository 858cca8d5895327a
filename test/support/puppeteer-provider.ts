import { defineBrowserCommand, defineBrowserProvider } from '@vitest/browser';
import type { Browser, Page } from 'puppeteer';
import type { BrowserProvider, BrowserProviderOption } from 'vitest/node';
import { collectPageErrors, launchChromium } from './chromium.ts';

declare module 'vitest/browser' {
  // Vitest declares them with the providers of its own.
  export const commands: {
    /** Errors that the page reported since the last call. */
    takePageErrors: () => Promise<string[]>;
    /** Bytes of the page's JavaScript heap, after a collection. */
    collectedHeap: () => Promise<number>;
  };
}

/** Vitest's browser mode in one page of one Chromium, driven by puppeteer. */
class PuppeteerProvider implements BrowserProvider {
  readonly name = 'puppeteer';
  readonly supportsParallelism = false;
  #browser: Promise<Browser> | undefined;
  readonly #pages = new Map<string, Page>();
  readonly #errors = new Map<string, string[]>();

  getCommandsContext(): Record<string, unknown> {
    return {};
  }

  takeErrors(sessionId: string): string[] {
    return this.#errors.get(sessionId)?.splice(0) ?? [];
  }

  async collectedHeap(sessionId: string): Promise<number> {
    const page = this.#pages.get(sessionId);
    if (page === undefined) throw new Error('no page of that session');
    const session = await page.createCDPSession();
    try {
      // What a finalizer lets go of is garbage of the next collection.
      for (let round = 0; round < 2; round++) await session.send('HeapProfiler.collectGarbage');
      return (await session.send('Runtime.getHeapUsage')).usedSize;
    } finally {
      await session.detach();
    }
  }

  async openPage(sessionId: string, url: string): Promise<void> {
    this.#browser ??= launchChromium();
    const browser = await this.#browser;
    const page = await browser.newPage();
    this.#pages.set(sessionId, page);
    this.#errors.set(sessionId, collectPageErrors(page));
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

export function puppeteerProvider(): BrowserProviderOption {
  return defineBrowserProvider({
    name: 'puppeteer',
    supportedBrowser: ['chromium'],
    providerFactory: () => new PuppeteerProvider(),
  });
}
