/** From nothing to the first result, each time in a fresh browser: nothing is compiled or cached yet. */
import { launch } from './page.mjs';
import { median } from './report.mjs';

const TIMES = 5;

/**
 * @param {string} url
 * @param {string[]} contenders
 * @param {import('./layer.ts').Layer} layer
 * @param {boolean} software
 * @param {import('./report.mjs').Progress} progress
 */
export async function measureFirstResults(url, contenders, layer, software, progress) {
  /** @type {Map<string, import('./page/cold.ts').ColdStart[]>} */
  const starts = new Map(contenders.map((name) => [name, []]));
  for (let time = 0; time < TIMES; time++) {
    for (const name of contenders) {
      progress.step(`first result ${time + 1}/${TIMES} ${name}`);
      const browser = await launch(software);
      try {
        const page = await browser.newPage();
        await page.goto(new URL('cold.html', url).href);
        await page.waitForFunction('globalThis.coldStart !== undefined');
        starts.get(name)?.push(await page.evaluate((name, layer) => coldStart(name, layer), name, layer));
      } catch (error) {
        progress.line(`${name}: no first result: ${String(error)}`);
      } finally {
        await browser.close();
      }
    }
  }
  return contenders.flatMap((contender) => {
    const measured = starts.get(contender) ?? [];
    if (measured.length === 0) return [];
    return [
      {
        contender,
        importMs: median(measured.map((start) => start.importMs)),
        readyMs: median(measured.map((start) => start.readyMs)),
        firstMs: median(measured.map((start) => start.firstMs)),
      },
    ];
  });
}
