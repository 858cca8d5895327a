// The package as pages get it: through Vite, through esbuild, and as files; in a worker and on the page. The examples
// are built as their users would, served, and looked at: `examples/worker.ts` and `examples/upsample.worker.ts` by both.
import { execFileSync } from 'node:child_process';
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join } from 'node:path';
import type { Browser, Page } from 'puppeteer';
import { build } from 'vite';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { bilinearWeight } from '../../src/index.ts';
import { convTranspose2dReference } from '../../src/reference.ts';
import { encodePng, randomPixels } from '../demo/pictures.ts';
import { collectPageErrors, launchChromium } from '../support/chromium.ts';
import { install, type Installed } from '../support/installed.ts';
import { tensorOf } from '../support/tensors.ts';
import { byteBound } from '../support/tolerance.ts';

const picture = randomPixels(12, 20, 1);
let user: Installed;
let browser: Browser;

beforeAll(async () => {
  user = install(['esbuild']);
  browser = await launchChromium();
});
afterAll(async () => {
  await browser.close();
  user.remove();
});

/** A server of files as they are. */
async function serve(folder: string): Promise<Server> {
  const types: Record<string, string> = { '.html': 'text/html', '.js': 'text/javascript', '.png': 'image/png' };
  const server = createServer(({ url = '/' }, response) => {
    const path = url === '/' ? '/index.html' : url;
    try {
      const content = readFileSync(join(folder, path));
      response.setHeader('Content-Type', types[extname(path)] ?? 'application/octet-stream').end(content);
    } catch {
      // A page asks for an icon by itself.
      response.writeHead(path === '/favicon.ico' ? 204 : 404).end();
    }
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return server;
}

/** What the canvas shows, RGBA, from a screenshot: no page can read a canvas that a worker draws on. */
async function canvasPixels(page: Page): Promise<{ size: number[]; bytes: number[] }> {
  const canvas = (await page.$('canvas'))!;
  const png = await canvas.screenshot({ encoding: 'base64' });
  return page.evaluate(async (data) => {
    const bitmap = await createImageBitmap(await (await fetch(`data:image/png;base64,${data}`)).blob());
    const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')!;
    context.drawImage(bitmap, 0, 0);
    const { data: bytes } = context.getImageData(0, 0, bitmap.width, bitmap.height);
    return { size: [bitmap.width, bitmap.height], bytes: [...bytes] };
  }, png);
}

async function expectUpsampled(folder: string): Promise<void> {
  const { width, height, data } = picture;
  writeFileSync(join(folder, 'picture.png'), encodePng(picture));
  const server = await serve(folder);
  const page = await browser.newPage();
  const errors = collectPageErrors(page);
  await page.goto(`http://127.0.0.1:${(server.address() as AddressInfo).port}/`);
  // Its words, or what went wrong.
  const said = async (): Promise<string> => (await page.$eval('output', ({ value }) => value)) || errors.join();
  await expect.poll(said, { timeout: 60_000 }).toBe(`3 × ${2 * height} × ${2 * width}`);
  const { size, bytes } = await canvasPixels(page);
  expect(size).toEqual([2 * width, 2 * height]);
  await page.close();
  server.close();
  expect(errors).toEqual([]);

  const area = width * height;
  const planes = Array.from({ length: 3 * area }, (_, i) => data[4 * (i % area) + Math.floor(i / area)]! / 255);
  const options = { stride: 2, padding: 1, groups: 3 };
  const expected = convTranspose2dReference(
    tensorOf([1, 3, height, width], planes),
    bilinearWeight(3, 4),
    null,
    options,
  );
  const far = Array.from(expected.data).flatMap((element, i) => {
    const byte = bytes[4 * (i % (4 * area)) + Math.floor(i / (4 * area))]!;
    return Math.abs(byte - 255 * element) <= byteBound(element, 0, 1) ? [] : [[i, byte, 255 * element]];
  });
  expect(far).toEqual([]);
}

test('Vite builds examples/vite, its worker too', async () => {
  const root = join(user.folder, 'examples/vite');
  await build({ root, logLevel: 'warn', base: './', build: { target: 'es2022' } });
  await expectUpsampled(join(root, 'dist'));
});

test('esbuild builds examples/esbuild, its worker too', async () => {
  const root = join(user.folder, 'examples/esbuild');
  execFileSync(process.execPath, ['build.mjs'], { cwd: root, stdio: 'pipe' });
  cpSync(join(root, 'index.html'), join(root, 'dist/index.html'));
  await expectUpsampled(join(root, 'dist'));
});

test('a page without a bundler, from a folder of files', async () => {
  const root = join(user.folder, 'examples/static');
  cpSync(user.dist, join(root, 'webgpu-conv-transpose2d'), { recursive: true });
  await expectUpsampled(root);
});
