import { defineBrowserCommand, defineBrowserProvider } from '@vitest/browser';
import type { Browser } from 'puppeteer';
import type { BrowserProvider, BrowserProviderOption } from 'vitest/node';
import { collectPageErrors, launchChromium } from './chromium.ts';

declare module 'vitest/browser' {
  // Vitest declares them with the providers of its own.
  export const commands: {
    /** Errors that the page reported since the last call. */
    takePageErrors: () => Promise<string[]>;
  };
}

/** Vitest's browser mode in one page of one Chromium, driven by puppeteer. */
class PuppeteerProvider implements BrowserProvider {
  readonly name = 'puppeteer';
  readonly supportsParallelism = false;
  #browser: Promise<Browser> | undefined;
  readonly #errors = new Map<string, string[]>();

  getCommandsContext(): Record<string, unknown> {
    return {};
  }

  takeErrors(sessionId: string): string[] {
    return this.#errors.get(sessionId)?.splice(0) ?? [];
  }

  async openPage(sessionId: string, url: string): Promise<void> {
    this.#browser ??= launchChromium();
    const browser = await this.#browser;
    const page = await browser.newPage();
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

export function puppeteerProvider(): BrowserProviderOption {
  return defineBrowserProvider({
    name: 'puppeteer',
    supportedBrowser: ['chromium'],
    providerFactory: () => new PuppeteerProvider(),
  });
}
