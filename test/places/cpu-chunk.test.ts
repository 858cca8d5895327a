// What computes on the CPU is loaded later than the rest, or not at all: from a server that can hold it back and refuse it.
import type { Browser, Page } from 'puppeteer';
import { afterAll, afterEach, beforeAll, beforeEach, expect, test } from 'vitest';
import type * as Library from '../../src/index.ts';
import { collectPageErrors, launchChromium } from '../support/chromium.ts';
import { install, type Installed } from '../support/installed.ts';
import { servePackage, type Site } from './site.ts';

/** What the page has for a test: the package, tensors of one value, and what became of a call. */
interface PageTools {
  readonly library: typeof Library;
  readonly filled: (value: number, ...shape: number[]) => Library.HostTensor;
  readonly outcome: (call: Promise<Library.HostTensor>) => Promise<unknown>;
}
type Tools = typeof globalThis & PageTools;

const program = `
import * as library from './package/index.js';
const filled = (value, ...shape) => ({ shape, data: new Float32Array(shape.reduce((a, b) => a * b)).fill(value) });
const outcome = (call) => call.then(({ data }) => data[0], ({ code, message }) => ({ code, message }));
Object.assign(globalThis, { library, filled, outcome });
`;

let user: Installed;
let browser: Browser;
let site: Site;
let page: Page;
let errors: string[];
/** The chunks of the CPU path that were asked for. */
let asked: string[] = [];
/** What a request for one waits for, and how it is answered then. */
let held: Promise<void> = Promise.resolve();
let refused = false;

beforeAll(async () => {
  user = install([]);
  browser = await launchChromium();
  site = await servePackage(user.dist, program, async (url, response) => {
    if (!/\/(calls|gradients|wasm-relaxed-simd)-[\w-]+\.js$/.test(url)) return;
    asked.push(url);
    await held;
    if (refused) response.writeHead(503).end();
  });
});
afterAll(async () => {
  await browser.close();
  site.close();
  user.remove();
});

beforeEach(async () => {
  [asked, held, refused] = [[], Promise.resolve(), false];
  page = await browser.newPage();
  errors = collectPageErrors(page);
  await page.goto(site.address);
  await page.waitForFunction(() => 'outcome' in globalThis);
});
afterEach(async () => {
  await page.close();
});

/** Holds back what is asked for until the returned function is called. */
function hold(): () => void {
  let release = (): void => undefined;
  held = new Promise<void>((resolve) => {
    release = resolve;
  });
  return release;
}

test('a page whose device is a GPU never asks for it', async () => {
  const result = await page.evaluate(async () => {
    const { library, filled, outcome } = globalThis as Tools;
    const device = await library.requestDevice({ allowSoftware: true });
    if (device === 'cpu') throw new Error('no GPU');
    const call = library.convTranspose2d(filled(1, 1, 1, 2, 2), filled(3, 1, 1, 2, 2), null, { stride: 2, device });
    return outcome(call);
  });
  expect(result).toBe(3);
  expect(asked).toEqual([]);
  expect(errors).toEqual([]);
});

test('a layer asks for it at once, plans before it is there, and calls have the weights that they began with', async () => {
  const release = hold();
  const planned = await page.evaluate(async () => {
    const { library, filled, outcome } = globalThis as Tools;
    const layer = new library.ConvTranspose2d(1, 1, 2, { stride: 2, bias: false, device: 'cpu' });
    const input = filled(1, 1, 1, 2, 2);
    const { kernel } = layer.plan(input.shape);
    const calls: Promise<unknown>[] = [];
    for (const value of [3, 5]) {
      layer.loadStateDict({ weight: filled(value, 1, 1, 2, 2) });
      calls.push(outcome(layer.forward(input)));
      // Until the call has begun.
      await new Promise((resolve) => setTimeout(resolve));
    }
    Object.assign(globalThis, { results: Promise.all(calls) });
    return kernel;
  });
  expect(planned).toMatch(/^wasm-/);
  await expect.poll(() => asked.length).toBe(2);
  release();
  expect(await page.evaluate(() => (globalThis as unknown as { results: Promise<unknown> }).results)).toEqual([3, 5]);
  expect(errors).toEqual([]);
});

test('while it is on its way, an abort and destroy() are heard at once', async () => {
  const release = hold();
  const results = await page.evaluate(async () => {
    const { library, filled, outcome } = globalThis as Tools;
    const layer = new library.ConvTranspose2d(1, 1, 2, { device: 'cpu' });
    const input = filled(1, 1, 1, 2, 2);
    const controller = new AbortController();
    const aborted = outcome(layer.forward(input, { signal: controller.signal }));
    const { signal } = controller;
    const weight = filled(1, 1, 1, 2, 2);
    const gradients = library
      .convTranspose2dBackward(filled(1, 1, 1, 3, 3), input, weight, { device: 'cpu', signal })
      .then(({ gradInput }) => gradInput);
    const abortedGradients = outcome(gradients);
    const destroyed = outcome(layer.forward(input));
    // Until both wait.
    await new Promise((resolve) => setTimeout(resolve, 100));
    controller.abort(new Error('enough'));
    const reasons = await Promise.all([aborted, abortedGradients]);
    layer.destroy();
    return [...reasons, await destroyed];
  });
  expect(results).toMatchObject([{ message: 'enough' }, { message: 'enough' }, { code: 'DESTROYED' }]);
  release();
  expect(errors).toEqual([]);
});

test('where it does not load, calls say so, and later ones ask again', async () => {
  refused = true;
  const first = await page.evaluate(async () => {
    const { library, filled, outcome } = globalThis as Tools;
    const layer = new library.ConvTranspose2d(1, 1, 2, { stride: 2, bias: false, device: 'cpu' });
    layer.loadStateDict({ weight: filled(3, 1, 1, 2, 2) });
    const call = (): Promise<unknown> => outcome(layer.forward(filled(1, 1, 1, 2, 2)));
    Object.assign(globalThis, { call });
    return call();
  });
  expect(first).toMatchObject({ code: 'NOT_READY', message: expect.stringMatching(/CPU path/) as string });
  refused = false;
  const second = await page.evaluate(() => (globalThis as unknown as { call: () => Promise<unknown> }).call());
  expect(second).toBe(3);
  // The browser itself says that a request failed; nothing else.
  expect(errors.filter((error) => !error.includes('503'))).toEqual([]);
});

test('gradients on the CPU', async () => {
  const gradInput = await page.evaluate(async () => {
    const { library, filled } = globalThis as Tools;
    const [gradOutput, input, weight] = [filled(1, 1, 1, 4, 4), filled(1, 1, 1, 2, 2), filled(3, 1, 1, 2, 2)];
    const options = { stride: 2, device: 'cpu' } as const;
    const gradients = await library.convTranspose2dBackward(gradOutput, input, weight, options);
    return [...(gradients.gradInput.data as Float32Array)];
  });
  expect(gradInput).toEqual([12, 12, 12, 12]);
  expect(asked.length).toBe(3);
  expect(errors).toEqual([]);
});
