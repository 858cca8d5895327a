/** A kernel that learns from the visitor's picture, as a visitor has it do so, in headless Chromium. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Page } from 'puppeteer';
import { afterAll, afterEach, beforeAll, expect, test } from 'vitest';
import { encodePng, randomPixels } from './pictures.ts';
import {
  expectAccessible,
  expectFits,
  expectResponsive,
  LOOKS,
  openSite,
  type Site,
  type VisitOptions,
} from './site.ts';

let site: Site;
let files: string;
let page: Page;
let errors: string[];

beforeAll(async () => {
  site = await openSite();
  files = await mkdtemp(join(tmpdir(), 'learning-test-'));
});

afterAll(async () => {
  await site.close();
  await rm(files, { recursive: true });
});

afterEach(async () => {
  await page.close();
  expect(errors).toEqual([]);
});

async function open(search: string, options?: VisitOptions): Promise<void> {
  ({ page, errors } = await site.visit(search, options));
  await settled();
}

/** Waits until a picture is shown and nothing runs. */
async function settled(): Promise<void> {
  await page.waitForSelector('.stage[aria-busy=false]', { timeout: 120_000 });
}

const text = (selector: string): Promise<string> => page.$eval(selector, (element) => element.textContent);
const isShown = (selector: string): Promise<boolean> =>
  page.$eval(selector, (element) => (element as HTMLElement).checkVisibility());
const figure = async (id: string): Promise<number> =>
  Number(await page.$eval(`data#${id}`, (element) => element.value || 'NaN'));

/** The words beside the button that say how it went. */
async function status(wanted: RegExp): Promise<void> {
  await page.waitForFunction(
    (source) => new RegExp(source).test(document.querySelector('.learn-status')!.textContent),
    { timeout: 120_000 },
    wanted.source,
  );
}

async function learn(): Promise<void> {
  await page.click('.learn');
  await status(/^Learned in/);
  await settled();
}

/** Records what progress and curve say while something runs. */
async function watchProgress(): Promise<void> {
  await page.evaluate(() => {
    const seen: { part: number; points: number }[] = [];
    Object.assign(globalThis, { seen });
    new MutationObserver(() => {
      const { value } = document.querySelector<HTMLProgressElement>('.learning progress')!;
      const { points } = document.querySelector<SVGPolylineElement>('.curve polyline.from-held')!;
      if (seen[seen.length - 1]?.part !== value) seen.push({ part: value, points: points.numberOfItems });
    }).observe(document.querySelector('.learning')!, { attributes: true, subtree: true });
  });
}

const seen = (): Promise<{ part: number; points: number }[]> =>
  page.evaluate(() => (globalThis as unknown as { seen: { part: number; points: number }[] }).seen);

test.each([
  ['cpu', 2],
  ['cpu', 3],
  ['webgpu', 3],
] as const)('on %s a kernel for %i times learns, and beats bilinear on patches held back', async (device, scale) => {
  await open(`?device=${device}&scale=${scale}`);
  await page.click('input[name=kernel][value=learned]');
  await settled();
  expect(new URL(page.url()).searchParams.get('kernel')).toBe('learned');
  expect(await text('.learn-note')).toContain('starts as bilinear');
  await watchProgress();
  await learn();
  expect(await text('.learn-status')).toContain(device === 'cpu' ? 'on the CPU' : 'on the GPU');
  const steps = await seen();
  expect(steps.length).toBeGreaterThan(10);
  for (const [i, { part, points }] of steps.slice(1).entries()) {
    expect(part).toBeGreaterThan(steps[i]!.part);
    expect(points).toBeGreaterThan(steps[i]!.points);
  }
  expect(await figure('gain')).toBeGreaterThanOrEqual(0.5);
  expect(await figure('gain')).toBeCloseTo((await figure('learned-quality')) - (await figure('bilinear-quality')), 9);
  expect(await text('.tag-before')).toBe('Bilinear');
  expect(await text('.tag-after')).toBe('Learned');
});

test('learning can be cancelled in the middle, and the kernel is as it was before', async () => {
  await open('?device=webgpu&kernel=learned');
  await page.click('.learn');
  await page.waitForFunction(() => document.querySelector<HTMLProgressElement>('.learning progress')!.value > 0.2);
  await expectFits(page, 'upsample-learning');
  await expectAccessible(page);
  await page.click('.cancel-learning');
  await status(/^Cancelled after \d+ of 100 steps/);
  expect(await isShown('.learn')).toBe(true);
  expect(await isShown('.curve')).toBe(false);
  expect(await isShown('.gains')).toBe(false);
  expect(await text('.tag-before')).toBe('Before');
});

test('a picture that is too small to learn from is refused in plain words', async () => {
  await open('?device=cpu&kernel=learned&scale=2');
  const path = join(files, 'small.png');
  await writeFile(path, encodePng(randomPixels(50, 90, 1)));
  const input = (await page.$('input[type=file]'))!;
  await input.uploadFile(path);
  await page.waitForFunction(() => document.querySelector('#size')!.textContent.startsWith('90 × 50'));
  await settled();
  await page.click('.learn');
  await status(/^This picture is too small to learn from/);
  expect(await isShown('.learn')).toBe(true);
});

test.each(['cpu', 'webgpu'])('the page answers all the time while it learns on %s', async (device) => {
  await open(`?device=${device}&kernel=learned&scale=2`);
  await expectResponsive(page, learn);
});

test.each(LOOKS)('at %i pixels, %s, what was learned fits and can be read by everyone', async (width, scheme) => {
  await open('?device=cpu&kernel=learned', { width, scheme });
  await expectFits(page, `upsample-unlearned-${width}-${scheme}`);
  await expectAccessible(page);
  await learn();
  await expectFits(page, `upsample-learned-${width}-${scheme}`);
  await expectAccessible(page);
});
