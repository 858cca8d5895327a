/**
 * A test visits the demo with one page at a time. Importing this opens the site for the file's tests, and holds after each
 * of them that its page reported no error.
 */
import type { Page } from 'puppeteer';
import { afterAll, afterEach, beforeAll, expect } from 'vitest';
import { openSite, type Site, type VisitOptions } from './site.ts';

export let site: Site;
/** The page of the last visit. */
export let page: Page;
let errors: string[] | undefined;

beforeAll(async () => {
  site = await openSite();
});

afterAll(() => site.close());

afterEach(async () => {
  if (!errors) return; // a test without a visit
  await page.close();
  const reported = errors;
  errors = undefined;
  expect(reported).toEqual([]);
});

/** Opens the page at `search`. */
export async function visit(search: string, options?: VisitOptions): Promise<void> {
  ({ page, errors } = await site.visit(search, options));
}

/** What the page has reported so far, which the test expected; what comes later is an error again. */
export const takeErrors = (): string[] => errors!.splice(0);

export const text = (selector: string): Promise<string> => page.$eval(selector, (element) => element.textContent);

export const isShown = (selector: string): Promise<boolean> =>
  page.$eval(selector, (element) => (element as HTMLElement).checkVisibility());

/** What a `<data>` says to machines. */
export const figure = async (selector: string): Promise<number> =>
  Number(await page.$eval(`data${selector}`, (element) => (element as HTMLDataElement).value || 'NaN'));

/** Waits until what the page has changed is drawn. */
export const drawn = (): Promise<unknown> =>
  page.evaluate(
    () =>
      new Promise((resolve) => {
        requestAnimationFrame(() => requestAnimationFrame(resolve));
      }),
  );
