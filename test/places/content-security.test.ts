// Pages with a strict Content-Security-Policy: what the package needs is what docs/cpu.md says, and it asks the network for nothing.
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { Browser } from 'puppeteer';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { launchChromium } from '../support/chromium.ts';
import { install, type Installed } from '../support/installed.ts';
import { servePackage, type Site } from './site.ts';

/** Calls on a GPU, and on the CPU: one that is done on the page, and one that is worth a worker. */
const program = `
import { ConvTranspose2d, convTranspose2d, requestDevice } from './package/index.js';
const violations = [];
addEventListener('securitypolicyviolation', ({ violatedDirective }) => violations.push(violatedDirective));
const ones = (...shape) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b)).fill(1) });
const run = async (device, size) => {
  const output = await convTranspose2d(ones(1, 16, size, size), ones(16, 16, 2, 2), null, { stride: 2, device });
  return output.data.every((value) => value === 16);
};
const device = await requestDevice({ allowSoftware: true });
const layer = new ConvTranspose2d(16, 16, 2, { stride: 2, device: 'cpu' });
const { kernel } = layer.plan([1, 16, 4, 4]);
const right = [await run(device, 8), await run('cpu', 8), await run('cpu', 160)];
globalThis.done = { gpu: device !== 'cpu', kernel, right, violations };
`;

let user: Installed;
let browser: Browser;
let site: Site;
let policy = '';
let asked: string[] = [];
beforeAll(async () => {
  user = install([]);
  browser = await launchChromium();
  site = await servePackage(user.dist, program, (url, response) => {
    asked.push(url);
    response.setHeader('Content-Security-Policy', policy);
  });
});
afterAll(async () => {
  await browser.close();
  site.close();
  user.remove();
});

interface Done {
  readonly gpu: boolean;
  readonly kernel: string;
  readonly right: readonly boolean[];
  readonly violations: readonly string[];
}

async function underPolicy(directives: string): Promise<Done> {
  policy = directives;
  asked = [];
  const page = await browser.newPage();
  const errors: string[] = [];
  page.on('pageerror', (error) => errors.push(String(error)));
  const beyond: string[] = [];
  page.on('request', (request) => {
    if (!/^(http:\/\/127\.0\.0\.1:|blob:)/.test(request.url())) beyond.push(request.url());
  });
  await page.goto(site.address);
  await page
    .waitForFunction(() => 'done' in globalThis, { timeout: 60_000 })
    .catch((error: unknown) => {
      throw new Error(errors.join('\n'), { cause: error });
    });
  const done = await page.evaluate(() => (globalThis as unknown as { done: Done }).done);
  await page.close();
  expect([...errors, ...beyond]).toEqual([]);
  // The page and modules of the package: nothing else was asked for.
  const modules = asked.filter((url) => !['/', '/program.js', '/favicon.ico'].includes(url));
  expect(modules.filter((url) => !/^\/package\/[\w/.-]+\.js$/.test(url))).toEqual([]);
  return done;
}

const strict = "default-src 'none'; script-src 'self'";

test('with what the docs ask for: WebAssembly and workers, and no violation', async () => {
  const done = await underPolicy(`${strict} 'wasm-unsafe-eval'; worker-src blob:`);
  expect(done).toMatchObject({ gpu: true, right: [true, true, true], violations: [] });
  expect(done.kernel).toMatch(/^wasm-/);
});

test('without workers: on the page', async () => {
  const done = await underPolicy(`${strict} 'wasm-unsafe-eval'`);
  expect(done).toMatchObject({ gpu: true, right: [true, true, true] });
  expect(done.violations.every((directive) => directive.startsWith('worker-src'))).toBe(true);
});

test('without WebAssembly: in plain TypeScript', async () => {
  const done = await underPolicy(strict);
  expect(done).toMatchObject({ gpu: true, kernel: 'plain', right: [true, true, true] });
});

test('no code is made from text, and none talks to the network but what reads the weights that a caller names', () => {
  const files = readdirSync(user.dist, { recursive: true, encoding: 'utf8' }).filter((name) => name.endsWith('.js'));
  expect(files.length).toBeGreaterThan(3);
  for (const file of files) {
    const code = readFileSync(join(user.dist, file), 'utf8');
    expect(code, file).not.toMatch(
      /\beval\s*\(|\bnew Function\b|\bFunction\s*\(|XMLHttpRequest|WebSocket|sendBeacon|importScripts/,
    );
    if (/\bfetch\s*\(/.test(code)) expect(file).toMatch(/weights/);
  }
});
