import puppeteer, { type Browser, type LaunchOptions, type Page } from 'puppeteer';
import { findBrowser } from '../../scripts/browser.mjs';

const flags: readonly string[] = [
  '--no-sandbox',
  '--enable-unsafe-webgpu',
  // Neither timers nor WebGPU may be throttled in a page that nobody looks at.
  '--disable-background-timer-throttling',
  '--disable-renderer-backgrounding',
  '--disable-backgrounding-occluded-windows',
  // Tests crash the GPU process on purpose, more often than a browser puts up with.
  '--disable-gpu-process-crash-limit',
  '--disable-domain-blocking-for-3d-apis',
  // The browser asks nothing of the network by itself.
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/**
 * SwiftShader for WebGPU, and for what composes pages: a WebGPU canvas is shared between the two, and where they differ its
 * first texture costs the page its GPU.
 */
const software: readonly string[] = [
  '--use-webgpu-adapter=swiftshader',
  '--enable-features=Vulkan',
  '--use-vulkan=swiftshader',
  '--use-angle=swiftshader',
];

/**
 * Headless Chromium with WebGPU on SwiftShader, in a new, empty profile that puppeteer removes again.
 * `CONV_TRANSPOSE2D_BROWSER_ARGS` (separated by spaces) adds flags, as in `--use-webgpu-adapter=default` for a real GPU.
 */
export async function launchChromium(options: LaunchOptions = {}): Promise<Browser> {
  const extra = process.env['CONV_TRANSPOSE2D_BROWSER_ARGS']?.split(' ').filter(Boolean) ?? [];
  const hasAdapter = extra.some((flag) => flag.startsWith('--use-webgpu-adapter='));
  return puppeteer.launch({
    headless: true,
    executablePath: await findBrowser(),
    protocolTimeout: 600_000,
    ...options,
    args: [...flags, ...(hasAdapter ? [] : software), ...extra, ...(options.args ?? [])],
  });
}

/**
 * Collects what a page reports as an error: an uncaught exception, a crash, and an error in the console, unless the browser
 * itself writes there what the page takes from WebGPU's error scopes, as Firefox does.
 */
export function collectPageErrors(page: Page, from: { console: boolean } = { console: true }): string[] {
  const errors: string[] = [];
  page.on('console', (message) => {
    if (from.console && message.type() === 'error')
      errors.push(`console.error: ${message.text()} (${message.location().url ?? 'inline'})`);
  });
  page.on('pageerror', (error) => {
    errors.push(`uncaught: ${error instanceof Error ? (error.stack ?? error.message) : String(error)}`);
  });
  page.on('error', (error) => {
    errors.push(`page crashed: ${error.message}`);
  });
  return errors;
}
