/**
 * npm run bench:dawn -- [--layers FILE] [--only CONTENDERS] [--json FILE] [--batch 1,64] [--direct] [--lavapipe] [--rounds N]
 *   [--max-run-ms N]
 *
 * The race in Node, with Dawn on the machine's Vulkan device, or on lavapipe where there is none. Each layer runs with the
 * multiples of its batch that `--batch` names; `--direct` adds the library with no kernel but `direct`.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { cpus } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { ensureLavapipe } from '../scripts/lavapipe.mjs';
import { root, setUp } from '../scripts/setup.mjs';
import { checkTarget, layersOf, optionsGiven, wholeNumber } from './arguments.mjs';
import { buildDirectOnly, directOnly } from './direct-only.mjs';
import { libraryConfig } from './page.mjs';
import { digits, printRaces } from './report.mjs';

const options = optionsGiven({
  layers: { type: 'string', default: join(root, 'bench', 'layers.json') },
  only: { type: 'string', default: 'ours-webgpu,tfjs-webgpu,ours-cpu' },
  json: { type: 'string' },
  batch: { type: 'string', default: '1,64' },
  direct: { type: 'boolean', default: false },
  lavapipe: { type: 'boolean', default: false },
  rounds: { type: 'string', default: '7' },
  'max-run-ms': { type: 'string', default: '10000' },
});
const given = layersOf(options.layers);
const batches = options.batch.split(',').map((times) => wholeNumber('--batch', times));
const rounds = wholeNumber('--rounds', options.rounds);
checkTarget('--json', options.json);

await setUp();
const outDir = join(root, '.cache', 'bench', 'dawn');
const { build } = await import('vite');
const config = await libraryConfig();
await buildDirectOnly(config);
await build({
  ...config,
  plugins: [...config.plugins, directOnly()],
  root,
  logLevel: 'error',
  build: {
    ssr: join(root, 'bench', 'dawn', 'main.ts'),
    outDir,
    emptyOutDir: true,
    target: 'es2022',
    rolldownOptions: { output: { entryFileNames: 'main.mjs' } },
  },
  // TensorFlow.js asks to be bundled: its modules import each other without file extensions.
  ssr: { noExternal: [/^@tensorflow\//, 'direct-only'], external: ['webgpu'] },
});

/** @type {import('./layer.ts').Layer[]} */
const layers = batches.flatMap((times) =>
  given.map(({ name, input: [batch, ...image], ...layer }) => ({
    ...layer,
    name: times === 1 ? name : `${name}@${batch * times}`,
    input: [batch * times, ...image],
  })),
);
const contenders = options.only.split(',').map((name) => name.trim());
if (options.direct) contenders.push('ours-direct');
const file = join(outDir, 'results.json');

/** @param {Readonly<Record<string, string>>} environment */
function run(environment) {
  rmSync(file, { force: true });
  const task = {
    layers,
    contenders,
    rounds,
    maxRunMs: wholeNumber('--max-run-ms', options['max-run-ms']),
    file,
  };
  return spawnSync(process.execPath, [join(outDir, 'main.mjs'), JSON.stringify(task)], {
    cwd: root,
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'inherit', 'inherit'],
  });
}

const NO_ADAPTER = 3;
let ended = options.lavapipe ? undefined : run({});
if (ended === undefined || ended.status === NO_ADAPTER) {
  const environment = ensureLavapipe();
  if (!environment) throw new Error('there is no Vulkan device here, and lavapipe could not be had');
  ended = run(environment);
}
if (ended.status !== 0) console.error(`Node ended with ${ended.signal ?? ended.status ?? 'nothing'}`);
if (!existsSync(file)) throw new Error('no layer was measured');

/** @type {import('./dawn/main.ts').Results} */
const { adapters, ceiling, races: measured } = JSON.parse(readFileSync(file, 'utf8'));
const cpu = cpus()[0]?.model ?? 'unknown processor';
const races = measured.map((race) => ({
  ...race,
  rows: race.rows.map((row) => (row.adapter === 'cpu' ? { ...row, adapter: cpu } : row)),
}));
console.log(`Node ${process.versions.node}, Dawn, ${cpus().length} × ${cpu}`);
for (const [name, adapter] of Object.entries(adapters)) console.log(`  ${name}: ${adapter === 'cpu' ? cpu : adapter}`);
printRaces(races, contenders, ceiling.gflops);
const forms = Object.entries(ceiling.forms).map(([form, gflops]) => `${form} ${digits(gflops)} GFLOP/s`);
console.log(`\nMatmul ${ceiling.size}³: ${forms.join(', ')}`);
if (options.json !== undefined) {
  mkdirSync(dirname(resolve(options.json)), { recursive: true });
  writeFileSync(
    options.json,
    `${JSON.stringify(
      races.flatMap((race) => race.rows),
      null,
      2,
    )}\n`,
  );
}
