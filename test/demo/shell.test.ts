/** What is around the views: the way from one to another, the keyboard, and the site as it is built. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { build, preview, type PreviewServer } from 'vite';
import type { HTTPRequest, Page } from 'puppeteer';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { configFile, type VisitOptions } from './site.ts';
import { open, settled } from './upsample-page.ts';
import { drawn, figure, isShown, page, takeErrors, text, visit } from './visit.ts';

test('the views are reached by link, Back and Forward, and remember what was chosen', async () => {
  await open('?device=cpu&scale=2');
  const titles: Record<string, string> = {
    Explore: 'How a transposed convolution works',
    Diagnose: 'Where checkerboards come from',
    Benchmark: 'How fast it is here',
  };
  for (const [name, title] of Object.entries(titles)) {
    await page.locator(`nav ::-p-text(${name})`).click();
    await page.waitForFunction((title) => document.querySelector('h1')?.textContent === title, {}, title);
    expect(await page.title()).toContain(title);
    expect(await page.evaluate(() => document.activeElement?.tagName)).toBe('H1');
    expect(new URL(page.url()).searchParams.get('view')).toBe(name.toLowerCase());
    expect(new URL(page.url()).searchParams.get('device')).toBe('cpu');
    expect(await text('nav [aria-current=page]')).toBe(name);
  }
  await page.goBack();
  await page.waitForFunction((title) => document.querySelector('h1')?.textContent === title, {}, titles['Diagnose']);
  await page.locator('nav ::-p-text(Upsample)').click();
  await settled();
  expect(new URL(page.url()).search).toBe('?device=cpu&scale=2');
  expect(await text('#size')).toBe('360 × 240 → 720 × 480');
});

test('a link that is clicked twice is one step in the history', async () => {
  await open('?device=cpu&scale=2');
  const steps = await page.evaluate(() => history.length);
  await page.locator('nav ::-p-text(Explore)').click({ count: 2 });
  await page.waitForSelector('.view.explore h1');
  expect(await page.evaluate(() => history.length)).toBe(steps + 1);
  await page.goBack();
  await settled();
});

/** Has `act` answer the requests whose address matches, and the server all others. */
const answering = (address: RegExp, act: (request: HTTPRequest) => Promise<void>): VisitOptions => ({
  prepare: async (fresh) => {
    await fresh.setRequestInterception(true);
    fresh.on('request', (request) => void (address.test(request.url()) ? act(request) : request.continue()));
  },
});

test('while a view is on its way, the one that was left cannot be used', async () => {
  let letGo = (): void => undefined;
  const held = new Promise<void>((resolve) => (letGo = resolve));
  await open('?device=cpu&scale=2', {
    ...answering(/explore\/view\.ts/, async (request) => {
      await held;
      await request.continue();
    }),
  });
  const waits = (): Promise<unknown> => page.$eval('#view', (view) => [view.ariaBusy, (view as HTMLElement).inert]);
  expect(await waits()).toEqual(['false', false]);
  await page.locator('nav ::-p-text(Explore)').click();
  await drawn();
  expect(await text('h1')).toBe('Upsample a picture');
  expect(await waits()).toEqual(['true', true]);
  letGo();
  await page.waitForSelector('.view.explore h1');
  expect(await waits()).toEqual(['false', false]);
});

test.each([
  ['a view', 'view=explore', /explore\/view\.ts/, '#problem', '.view.explore h1'],
  ['the sample', 'device=cpu&scale=2', /harbour.*\.webp/, '#problem', '.upsample .stage[aria-busy=false]'],
  ['the CPU path', 'device=cpu&scale=2', /src\/cpu\/calls\.ts/, '.stage .problem', '.save:not(:disabled)'],
])('%s that does not load is told in plain words, and comes with another try', async (_, search, address, at, then) => {
  let isDown = true;
  await visit(
    `?${search}`,
    answering(address, (request) => (isDown ? request.abort() : request.continue())),
  );
  await page.waitForFunction((at) => document.querySelector<HTMLElement>(at)?.checkVisibility(), {}, at);
  expect(await text(`${at} p`)).toMatch(/^A part of this page could not be loaded\. There may be no connection/);
  for (const error of takeErrors()) expect(error).toContain('Failed to load resource');
  isDown = false;
  await page.focus(`${at} .retry`);
  await page.keyboard.press('Enter');
  await page.waitForSelector(then);
  expect(await isShown(at)).toBe(false);
  // Whoever uses the keyboard goes on where the button was.
  expect(await page.evaluate(() => document.activeElement!.tagName)).not.toBe('BODY');
});

test('a view is laid out the same, whichever views were open before it', async () => {
  const views = ['Upsample', 'Explore', 'Diagnose', 'Benchmark'];
  const columns = (): Promise<unknown> =>
    page.$$eval('.view > *, .columns > *', (parts) =>
      parts.map((part) => [part.className, part.getBoundingClientRect().x, part.getBoundingClientRect().width]),
    );
  const alone: Record<string, unknown> = {};
  for (const view of views) {
    await visit(`?device=cpu&view=${view.toLowerCase()}`);
    await page.waitForSelector(`.view.${view.toLowerCase()} h1`);
    alone[view] = await columns();
  }
  // The styles of all of them are there after the first round.
  for (const view of [...views, ...views]) {
    await page.locator(`nav ::-p-text(${view})`).click();
    await page.waitForSelector(`.view.${view.toLowerCase()} h1`);
    expect(await columns(), view).toEqual(alone[view]);
  }
});

describe('the built site', () => {
  let server: PreviewServer;
  let base: string;
  let folder: string;

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), 'demo-site-'));
    const outDir = join(folder, 'some-folder');
    await build({ configFile, logLevel: 'error', build: { outDir, emptyOutDir: true } });
    server = await preview({
      configFile: false,
      root: folder,
      logLevel: 'error',
      build: { outDir: '.' },
      preview: { port: 0 },
    });
    base = new URL('some-folder/index.html', server.resolvedUrls!.local[0]).href;
  });

  afterAll(async () => {
    await server.close();
    await rm(folder, { recursive: true });
  });

  test('works from a folder, every view of it', async () => {
    await open('?device=cpu&scale=2', { base });
    expect(await figure('#difference')).toBeLessThan(1e-3);
    for (const name of ['Explore', 'Diagnose', 'Benchmark']) {
      await page.locator(`nav ::-p-text(${name})`).click();
      await page.waitForSelector(`.view.${name.toLowerCase()} h1`);
      expect(new URL(page.url()).pathname).toBe('/some-folder/index.html');
    }
    await page.reload();
    await page.waitForSelector('.view.benchmark h1');
  });

  test.each(['upsample', 'explore', 'diagnose', 'benchmark'])(
    'loads at most 150 kB of code, gzipped, for %s before the visitor does anything',
    async (view) => {
      const loaded: Promise<{ path: string; kind: string; bytes: Buffer }>[] = [];
      await visit(`?view=${view}`, {
        base,
        prepare: (fresh) => {
          fresh.on('response', (response) => {
            const { pathname } = new URL(response.url());
            if (!response.url().startsWith('http')) return;
            loaded.push(
              response.buffer().then((bytes) => ({ path: pathname, kind: response.request().resourceType(), bytes })),
            );
          });
          return Promise.resolve();
        },
      });
      await page.waitForSelector(`.view.${view} h1`);
      await page.waitForNetworkIdle();
      const code = (await Promise.all(loaded)).filter(({ path }) => !/\.(webp|png|svg)$/.test(path));
      expect(code.map(({ kind }) => kind)).toEqual(expect.arrayContaining(['document', 'script', 'stylesheet']));
      const sizes = code.map(({ path, bytes }) => [path, gzipSync(bytes).length] as const);
      const total = sizes.reduce((sum, [, size]) => sum + size, 0);
      expect(total, JSON.stringify(sizes)).toBeLessThanOrEqual(150_000);
    },
  );
});

test('where the system chooses the colours, what is told by colour still is', async () => {
  const prepare = async (fresh: Page): Promise<void> => {
    const session = await fresh.createCDPSession();
    const features = [{ name: 'forced-colors', value: 'active' }];
    await session.send('Emulation.setEmulatedMedia', { features });
  };
  const background = (selector: string): Promise<string> =>
    page.$eval(selector, (element) => getComputedStyle(element).backgroundColor);

  await visit('?view=explore', { prepare });
  await page.waitForSelector('.grid-kernel canvas');
  await drawn();
  const colours = await page.$eval('.grid-kernel canvas', (canvas) => {
    const { width, height } = canvas;
    // Within the first of 3 × 3 cells, away from its corners.
    const inside = [width / 12, height / 12, width / 6, height / 6].map(Math.round) as [number, number, number, number];
    const { data } = canvas.getContext('2d')!.getImageData(...inside);
    return new Set(new Uint32Array(data.buffer)).size;
  });
  expect(colours, 'a number and its ground').toBeGreaterThan(1);
  expect(await background('.ways label:has(:checked)')).not.toBe(await background('.ways label:not(:has(:checked))'));
  const underline = (selector: string): Promise<string> =>
    page.$eval(selector, (element) => getComputedStyle(element).borderBottomColor);
  expect(await underline('nav [aria-current]')).not.toBe(await underline('nav a:not([aria-current])'));

  await page.locator('nav ::-p-text(Benchmark)').click();
  await page.waitForSelector('.benchmark .track');
  expect(await background('.bar')).not.toBe(await background('.track'));
});

test('everything is reached and used with the keyboard alone', async () => {
  await open('?device=cpu&scale=2');
  const reach = async (wanted: string): Promise<void> => {
    for (let tabs = 0; tabs < 40; tabs++) {
      await page.keyboard.press('Tab');
      if (await page.evaluate((wanted) => document.activeElement!.matches(wanted), wanted)) return;
    }
    throw new Error(`${wanted} is not reached`);
  };
  await reach('.skip');
  await page.keyboard.press('Enter');
  await reach('.viewer');
  await reach('.divider');
  await reach('[data-zoom=in]');
  await page.keyboard.press('Enter');
  await reach('.save');
  await reach('.choose');
  await reach('.camera');
  await reach('input[name=scale]');
  await page.keyboard.press('ArrowRight');
  await page.waitForFunction(() => document.querySelector('#size')!.textContent.endsWith('1080 × 720'));
  await reach('input[name=kernel]');
  await page.keyboard.press('ArrowRight');
  await page.waitForFunction(() => document.querySelector('#explain-text')!.textContent.includes('17 × 17'));
  await reach('input[name=device]');
  await settled();
  await page.keyboard.down('Shift');
  await reach('nav li:last-child a');
  await page.keyboard.up('Shift');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.view.benchmark h1');
  expect(await page.evaluate(() => document.activeElement!.tagName)).toBe('H1');
  await reach('.start');
});
