import puppeteer, { type Browser } from 'puppeteer';
import { ensureFirefox } from '../../scripts/browser.mjs';

/** Headless Firefox with WebGPU on whatever Vulkan driver `VK_DRIVER_FILES` names, in a new profile. */
export async function launchFirefox(): Promise<Browser> {
  const executablePath = ensureFirefox();
  if (executablePath === undefined) throw new Error('No Firefox was found, and none could be installed.');
  return puppeteer.launch({
    browser: 'firefox',
    executablePath,
    headless: true,
    protocolTimeout: 600_000,
    extraPrefsFirefox: { 'dom.webgpu.enabled': true, 'gfx.webgpu.ignore-blocklist': true },
  });
}
