/** Upsample as its visitors use it: open, give a picture, wait. */
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll } from 'vitest';
import type { Pixels } from '../../demo/src/upsample/pixels.ts';
import { encodePng } from './pictures.ts';
import type { VisitOptions } from './site.ts';
import { page, visit } from './visit.ts';

let files: string;

beforeAll(async () => {
  files = await mkdtemp(join(tmpdir(), 'demo-test-'));
});

afterAll(() => rm(files, { recursive: true }));

/** Opens the page and waits for its sample picture. */
export async function open(search: string, options?: VisitOptions): Promise<void> {
  await visit(search, options);
  await settled();
}

/** Waits until a picture is shown and nothing runs. Other views have a stage too, and one is left later than its link is clicked. */
export async function settled(): Promise<void> {
  await page.waitForSelector('#view[aria-busy=false] .upsample .stage[aria-busy=false]');
}

/** Waits until a video is enlarged live. */
export async function live(): Promise<void> {
  await page.waitForFunction(() => document.querySelector('#time-note')!.textContent.includes('in a second'));
}

/** Hands a file to the page, as its file dialogue does. */
export async function chooseFile(content: Uint8Array | string, name: string): Promise<void> {
  const path = join(files, name);
  await writeFile(path, content);
  const input = (await page.$('input[type=file]'))!;
  await input.uploadFile(path);
}

/** Waits until a picture of that size is what is enlarged. */
export async function shows({ width, height }: Pick<Pixels, 'width' | 'height'>): Promise<void> {
  await page.waitForFunction(
    (wanted) => document.querySelector('#size')!.textContent.startsWith(wanted),
    {},
    `${width} × ${height} →`,
  );
}

/** Gives the page a picture, and waits until it is enlarged. */
export async function choose(pixels: Pixels, name: string): Promise<void> {
  await chooseFile(encodePng(pixels), name);
  await shows(pixels);
  await settled();
}
