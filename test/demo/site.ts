/** The demo in headless Chromium, as tests of its views visit it. */
import { mkdir, writeFile } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { AxeResults } from 'axe-core';
import type { Browser, Page } from 'puppeteer';
import { createServer, type ViteDevServer } from 'vite';
import { expect } from 'vitest';
import { collectPageErrors, launchChromium } from '../support/chromium.ts';
import { longestTask, recordTasks } from '../support/tasks.ts';

export const configFile: string = fileURLToPath(new URL('../../vite.demo.config.ts', import.meta.url));
const artifacts = new URL('../artifacts/', import.meta.url);
const axePath = createRequire(import.meta.url).resolve('axe-core/axe.min.js');

export interface VisitOptions {
  /** Another address than the development server's. */
  readonly base?: string;
  readonly width?: number;
  readonly scheme?: 'light' | 'dark';
  /** Before the page loads. */
  readonly prepare?: (page: Page) => Promise<unknown>;
}

export interface Site {
  readonly address: string;
  readonly browser: Browser;
  /** Opens the page at `search`; `errors` collects what it reports. */
  visit(search: string, options?: VisitOptions): Promise<{ page: Page; errors: string[] }>;
  close(): Promise<void>;
}

export async function openSite(): Promise<Site> {
  // Sources may be edited while tests run; a page must not reload under them.
  const server: ViteDevServer = await createServer({
    configFile,
    logLevel: 'error',
    server: { port: 0, hmr: false, watch: null },
  });
  await server.listen();
  const address = server.resolvedUrls!.local[0]!;
  const browser = await launchChromium({
    args: ['--use-fake-device-for-media-stream', '--use-fake-ui-for-media-stream'],
  });
  return {
    address,
    browser,
    async visit(search, { base = address, width = 1280, scheme = 'light', prepare } = {}) {
      const page = await browser.newPage();
      page.setDefaultTimeout(150_000);
      const errors = collectPageErrors(page);
      await page.setViewport({ width, height: 860, deviceScaleFactor: width < 500 ? 2 : 1 });
      await page.emulateMediaFeatures([
        { name: 'prefers-color-scheme', value: scheme },
        // A picture of the page shows what it comes to, not the way there.
        { name: 'prefers-reduced-motion', value: 'reduce' },
      ]);
      await prepare?.(page);
      await page.goto(base + search);
      return { page, errors };
    },
    async close() {
      await browser.close();
      await server.close();
    },
  };
}

/** Has the page take its software GPU for a hardware one, as most visitors have one. */
export async function pretendHardware(page: Page): Promise<void> {
  await page.evaluateOnNewDocument(() => {
    const info = { vendor: 'some', architecture: 'hardware', device: '', description: '', isFallbackAdapter: false };
    Object.defineProperty(GPUAdapter.prototype, 'info', { value: info });
    Object.defineProperty(GPUDevice.prototype, 'adapterInfo', { value: info });
  });
}

/** Has an event 'take-gpu' of the window take the page's GPU away. */
export async function takableGpu(page: Page): Promise<void> {
  await page.evaluateOnNewDocument(() => {
    const requestAdapter = navigator.gpu.requestAdapter.bind(navigator.gpu);
    navigator.gpu.requestAdapter = async (options) => {
      const adapter = await requestAdapter(options);
      const requestDevice = adapter!.requestDevice.bind(adapter);
      adapter!.requestDevice = async (descriptor) => {
        const device = await requestDevice(descriptor);
        window.addEventListener('take-gpu', () => {
          device.destroy();
        });
        return device;
      };
      return adapter;
    };
  });
}

/** Widths and colours that every view is looked at in. */
export const LOOKS = [
  [1280, 'light'],
  [1280, 'dark'],
  [390, 'light'],
  [390, 'dark'],
] as const;

/** Keeps a picture of the whole page for people to look at, and holds that nothing is wider than the page. */
export async function expectFits(page: Page, name: string): Promise<void> {
  const { width } = page.viewport()!;
  await mkdir(artifacts, { recursive: true });
  await writeFile(new URL(`${name}.png`, artifacts), await page.screenshot({ fullPage: true }));
  expect(await page.evaluate(() => document.documentElement.scrollWidth)).toBeLessThanOrEqual(width);
}

/** Holds that axe-core finds nothing serious on the page as it is now. */
export async function expectAccessible(page: Page): Promise<void> {
  await page.addScriptTag({ path: axePath });
  const { violations } = await page.evaluate(() =>
    (globalThis as unknown as { axe: { run: () => Promise<AxeResults> } }).axe.run(),
  );
  const serious = violations.filter(({ impact }) => impact === 'serious' || impact === 'critical');
  const found = serious.map(({ id, nodes }) => [
    id,
    ...nodes.map(({ html, failureSummary }) => `${html} ${failureSummary}`),
  ]);
  expect(found.flat().join('\n')).toBe('');
}

/** Holds that nothing blocks the page for more than 50 ms of its own processor time while `action` runs. */
export async function expectResponsive(page: Page, action: () => Promise<unknown>): Promise<void> {
  await recordTasks(page);
  await action();
  expect(await longestTask(page), 'longest task in milliseconds').toBeLessThanOrEqual(50);
}
