/** Gradients: ours against TensorFlow.js's, and over forward. `npm run bench:gradients [-- JSON]` */
import { readFileSync, writeFileSync } from 'node:fs';
import { buildPage, launch, servePage } from './page.mjs';

/** @type {import('./layer.ts').Layer[]} */
const layers = JSON.parse(readFileSync(new URL('layers.json', import.meta.url), 'utf8'));
const [json] = process.argv.slice(2);
const ROUNDS = 3;

await buildPage();
const server = await servePage();
const browser = await launch(true);
/** @type {(import('./page/gradients.ts').GradientTimes | { layer: string, error: string })[]} */
const rows = [];
/** @param {number[]} values */
const mean = (values) => Math.exp(values.reduce((sum, value) => sum + Math.log(value), 0) / values.length);
try {
  const page = await browser.newPage();
  await page.goto(new URL('gradients.html', server.url).href);
  await page.waitForFunction('globalThis.gradientTimes !== undefined');
  for (const layer of layers) {
    try {
      rows.push(await page.evaluate((layer, rounds) => gradientTimes(layer, rounds), layer, ROUNDS));
    } catch (error) {
      rows.push({ layer: layer.name, error: String(error) });
    }
    console.log(JSON.stringify(rows.at(-1)));
    if (json !== undefined) writeFileSync(json, `${JSON.stringify(rows, null, 2)}\n`);
  }
  const timed = rows.flatMap((row) => ('error' in row ? [] : [row]));
  const against = timed.flatMap(({ tfjsOverOurs }) => (tfjsOverOurs === null ? [] : [tfjsOverOurs]));
  console.log(`TensorFlow.js's time over ours, geometric mean of ${against.length}: ${mean(against).toFixed(2)}`);
  console.log(`ours over forward, of ${timed.length}: ${mean(timed.map((row) => row.overForward)).toFixed(2)}`);
} finally {
  await browser.close();
  await server.close();
}
