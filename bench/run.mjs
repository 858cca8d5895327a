/**
 * npm run bench -- [--layers FILE] [--only CONTENDERS] [--json FILE] [--figures FILE] [--rounds N] [--gpu] [--rows-only] [--gradients]
 *
 * Builds the benchmark's page as an application would be built, opens it cross-origin isolated in headless Chromium and
 * lets the contenders race there. `--json` writes the rows, `--figures` all the rest that is printed; `--gpu` takes the
 * machine's GPU instead of the software adapter; `--rows-only` leaves sizes, first results and the cost of `encode` out;
 * `--gradients` measures the gradients instead, against TensorFlow.js's.
 */
import { mkdirSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { root, setUp } from '../scripts/setup.mjs';
import { checkTarget, layersOf, optionsGiven, wholeNumber } from './arguments.mjs';
import { measureFirstResults } from './first-result.mjs';
import { buildPage, launch, servePage } from './page.mjs';
import {
  Progress,
  controlOf,
  digits,
  printGradients,
  printRaces,
  printScaling,
  printTable,
  summarize,
} from './report.mjs';
import { measureSizes } from './sizes.mjs';

/** @typedef {import('./measure/race.ts').Race} Race */

const options = optionsGiven({
  layers: { type: 'string', default: join(root, 'bench', 'layers.json') },
  only: { type: 'string' },
  json: { type: 'string' },
  figures: { type: 'string' },
  rounds: { type: 'string', default: '7' },
  gpu: { type: 'boolean', default: false },
  'rows-only': { type: 'boolean', default: false },
  gradients: { type: 'boolean', default: false },
});
const rounds = wholeNumber('--rounds', options.rounds);
const layers = layersOf(options.layers);
checkTarget('--json', options.json);
checkTarget('--figures', options.figures);

/**
 * @param {string | undefined} file
 * @param {unknown} data
 */
function write(file, data) {
  if (file === undefined) return;
  mkdirSync(dirname(resolve(file)), { recursive: true });
  writeFileSync(file, `${JSON.stringify(data, null, 2)}\n`);
}

await setUp();
const progress = new Progress();

progress.step('building the page');
await buildPage();
const server = await servePage();
const browser = await launch(!options.gpu);
try {
  const page = await browser.newPage();
  page.on('console', (entry) => {
    if (entry.type() === 'error') progress.line(`page: ${entry.text()}`);
  });
  page.on('pageerror', (error) => {
    progress.line(`page: ${String(error)}`);
  });
  let where = '';
  await page.exposeFunction('reportProgress', (/** @type {string} */ what) => {
    progress.step(`${where}: ${what}`);
  });
  await page.goto(server.url);
  await page.waitForFunction('globalThis.bench !== undefined');

  if (options.gradients) {
    const version = await browser.version();
    console.log(`${version}, ${cpus().length} × ${cpus()[0]?.model ?? 'unknown processor'}`);
    const rows = [];
    for (const [index, layer] of layers.entries()) {
      const row = await page.evaluate((layer, rounds) => bench.gradients(layer, rounds, 20), layer, rounds);
      rows.push(row);
      progress.line(
        `${index + 1}/${layers.length} ${layer.name}: ${digits(row.allMs)} ms, ${row.error ?? `${digits(row.ratio)}×`}`,
      );
      write(options.json, rows);
    }
    printGradients(rows);
    process.exit(0);
  }

  const all = await page.evaluate(() => bench.contenders);
  const contenders =
    options.only === undefined
      ? all.filter((name) => name !== 'ours-direct')
      : options.only.split(',').map((name) => name.trim());
  const unknown = contenders.filter((name) => !all.includes(name));
  if (unknown.length > 0) throw new Error(`--only names '${unknown.join(', ')}'; there are ${all.join(', ')}`);

  progress.step('asking for adapters');
  const adapters = await page.evaluate((names) => bench.adapters(names), contenders);
  const cpu = cpus()[0]?.model ?? 'unknown processor';
  const version = await browser.version();
  console.log(`${version}, ${cpus().length} × ${cpu}`);
  for (const name of contenders) console.log(`  ${name}: ${adapters[name] === 'cpu' ? cpu : adapters[name]}`);

  progress.step('matmul');
  const ceiling = await page.evaluate(() => bench.ceiling());
  /** @type {Race[]} */
  const races = [];
  for (const [index, layer] of layers.entries()) {
    where = `${index + 1}/${layers.length} ${layer.name}`;
    const result = await page.evaluate(
      (layer, names, rounds) => bench.race(layer, names, rounds, 20),
      layer,
      contenders,
      rounds,
    );
    const rows = result.rows.map((row) => (row.adapter === 'cpu' ? { ...row, adapter: cpu } : row));
    rows.sort((a, b) => contenders.indexOf(a.contender) - contenders.indexOf(b.contender));
    races.push({ ...result, rows });
    progress.line(
      `${where}: ${rows.map((row) => `${row.contender} ${row.medianMs ? `${digits(row.medianMs)} ms` : row.error}`).join(', ')}`,
    );
    write(
      options.json,
      races.flatMap((race) => race.rows),
    );
  }
  printRaces(races, contenders, ceiling.gflops);
  printScaling(races, contenders);
  console.log(
    `\nMatmul ${ceiling.size}³: ${Object.entries(ceiling.forms)
      .map(([form, gflops]) => `${form} ${digits(gflops)} GFLOP/s`)
      .join(', ')}`,
  );
  if (races.some((race) => race.rows.some((row) => row.contender.startsWith('ours') && row.error !== undefined))) {
    console.error('\nA contender of ours failed: see its rows.');
    process.exitCode = 1;
  }

  /** @type {Record<string, unknown>} */
  const figures = { browser: version, cpu, adapters, ceiling, ratios: summarize(races), control: controlOf(races) };
  write(options.figures, figures);
  if (!options['rows-only']) {
    const layer = layers.find(({ name }) => name === 'vae-k3s2') ?? layers[0];
    if (layer && contenders.includes('ours-webgpu')) {
      progress.step('encode');
      const cost = await page.evaluate((layer) => bench.encodeCost(layer), layer);
      figures['encode'] = cost;
      console.log(
        `\nencode: ${digits(cost.encodeMicroseconds)} µs of JavaScript, a bare pass ${digits(cost.bareMicroseconds)} µs: ${digits(cost.ratio)}×`,
      );
      write(options.figures, figures);
    }
    await page.close();

    progress.step('sizes');
    const sizes = await measureSizes();
    figures['sizes'] = sizes;
    console.log('\nShipped, minified\n');
    printTable([
      ['what', 'bytes', 'gzipped'],
      ...sizes.map(({ name, bytes, gzipped }) => [name, bytes.toLocaleString('en'), gzipped.toLocaleString('en')]),
    ]);

    const first = layer ? await measureFirstResults(server.url, contenders, layer, !options.gpu, progress) : [];
    figures['firstResults'] = first;
    console.log(`\nFirst result, ${layer?.name ?? ''}: milliseconds in a fresh browser\n`);
    printTable([
      ['contender', 'import', 'device or session', 'ready to first result'],
      ...first.map((row) => [row.contender, digits(row.importMs), digits(row.readyMs), digits(row.firstMs)]),
    ]);
    write(options.figures, figures);
  }
} finally {
  await browser.close();
  await server.close();
}
