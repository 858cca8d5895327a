/** That the tests of the views would notice. */
import { expect, test } from 'vitest';
import { expectAccessible, expectResponsive, openSite } from './site.ts';

test('a page that blocks, and one that a screen reader cannot read, are found', async () => {
  const site = await openSite();
  try {
    const { page } = await site.visit('?view=explore');
    await page.waitForSelector('h1');
    await expectAccessible(page);
    await page.evaluate(() => {
      document.querySelector('main')!.append(document.createElement('button'));
    });
    await expect(expectAccessible(page)).rejects.toThrow('button-name');
    const block = (milliseconds: number): Promise<void> =>
      page.evaluate((milliseconds) => {
        const start = performance.now();
        while (performance.now() - start < milliseconds);
      }, milliseconds);
    await expectResponsive(page, () => block(5));
    // Longer than it need be, for a busy machine gives less processor time than that.
    await expect(expectResponsive(page, () => block(1000))).rejects.toThrow('longest task');
  } finally {
    await site.close();
  }
});
