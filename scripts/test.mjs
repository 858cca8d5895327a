/**
 * npm test: format check, lint, type check, then the tests in Node and in headless Chromium, and those that need native
 * float16 in Dawn on lavapipe. With --all, all GPU tests there, and those that take minutes. Sets itself up on a
 * fresh clone; its last line is `N passed, N failed`.
 */
import { spawn } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { join, relative } from 'node:path';
import { ensureBrowser } from './browser.mjs';
import { ensureDeno } from './deno.mjs';
import { ensureLavapipe, findLavapipe } from './lavapipe.mjs';
import { root, setUp } from './setup.mjs';

/** @typedef {{ status: string, fullName: string, failureMessages?: string[] | null, meta?: { figures?: Record<string, number> } }} Assertion */
/** @typedef {{ name: string, status: string, message: string, assertionResults: Assertion[] }} TestFile */
/** @typedef {{ numPassedTests: number, numFailedTests: number, numPendingTests: number, testResults: TestFile[] }} VitestReport */
/** @typedef {{ name: string, seconds: number, passed: number, failed: number, skipped: number }} Outcome */

const minute = 60_000;
const reports = join(root, '.cache', 'test-reports');
const bin = {
  eslint: 'eslint/bin/eslint.js',
  prettier: 'prettier/bin/prettier.cjs',
  tsc: 'typescript/bin/tsc',
  vitest: 'vitest/vitest.mjs',
};

/**
 * Runs one of the installed tools.
 * @param {keyof typeof bin} tool
 * @param {readonly string[]} args
 * @param {{ env?: NodeJS.ProcessEnv, live?: boolean, deno?: string }} [options] live: output is shown as it comes, else only
 *   on failure; deno: the executable that runs the tool instead of Node
 * @returns {Promise<boolean>} whether it succeeded
 */
function run(tool, args, { env = {}, live = false, deno } = {}) {
  const script = join(root, 'node_modules', bin[tool]);
  const command = deno === undefined ? [script, ...args] : ['run', '--allow-all', script, ...args];
  const child = spawn(deno ?? process.execPath, command, {
    cwd: root,
    env: { ...process.env, ...env },
    stdio: live ? 'inherit' : 'pipe',
    timeout: 30 * minute,
  });
  /** @type {Buffer[]} */
  const output = [];
  for (const stream of [child.stdout, child.stderr]) {
    stream?.on('data', (/** @type {Buffer} */ chunk) => output.push(chunk));
  }
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code !== 0) process.stdout.write(Buffer.concat(output));
      if (signal !== null) console.error(`${tool} was ended by ${signal}.`);
      resolve(code === 0);
    });
  });
}

/**
 * @param {string} name
 * @param {() => Promise<boolean | Omit<Outcome, 'name' | 'seconds'>>} step a failed check counts as one failed test
 * @returns {Promise<Outcome>}
 */
async function timed(name, step) {
  const start = performance.now();
  const result = await step().catch((/** @type {unknown} */ error) => {
    console.error(error instanceof Error ? error.message : error);
    return false;
  });
  const counts = typeof result === 'boolean' ? { passed: 0, failed: result ? 0 : 1, skipped: 0 } : result;
  const outcome = { name, seconds: (performance.now() - start) / 1000, ...counts };
  console.log(summary(outcome));
  return outcome;
}

/** @param {Outcome} outcome */
function summary({ name, seconds, passed, failed, skipped }) {
  const counts = passed + failed + skipped > 1 ? `, ${passed} passed, ${failed} failed` : '';
  const left = skipped > 0 ? `, ${skipped} NOT RUN` : '';
  return `${failed === 0 ? '✓' : '✗'} ${name} (${seconds.toFixed(1)} s${counts}${left})`;
}

/**
 * What the tests counted (test/support/figures.ts), over all projects, by name.
 * @type {Map<string, number>}
 */
const figures = new Map();

/** @param {VitestReport} report */
function addFigures({ testResults }) {
  for (const { status, meta } of testResults.flatMap(({ assertionResults }) => assertionResults)) {
    if (status !== 'passed') continue;
    for (const [name, value] of Object.entries(meta?.figures ?? {}))
      figures.set(name, (figures.get(name) ?? 0) + value);
  }
}

/**
 * Each failure with its file, name and message: repeated at the end, for of a long log often only the end is kept.
 * @type {string[]}
 */
const failures = [];

/**
 * @param {string} project
 * @param {VitestReport} report
 */
function addFailures(project, { testResults }) {
  for (const { name, status, message, assertionResults } of testResults) {
    const failed = assertionResults.filter((assertion) => assertion.status === 'failed');
    const place = `${project} ${relative(root, name)}`;
    // A file that does not load fails without a test.
    if (failed.length === 0 && status === 'failed') failures.push(`${place}\n${message}`);
    for (const { fullName, failureMessages } of failed) {
      failures.push([`${place} > ${fullName}`, ...(failureMessages ?? [])].join('\n'));
    }
  }
}

/**
 * Runs one of vitest's projects.
 * @param {string} project
 * @param {{ env?: NodeJS.ProcessEnv, files?: readonly string[], deno?: string }} [options]
 * @returns {Promise<Outcome>}
 */
function tests(project, { files = [], ...options } = {}) {
  return timed(`tests in '${project}'`, async () => {
    const report = join(reports, `${project}.json`);
    rmSync(report, { force: true });
    const reporters = ['--reporter=default', '--reporter=json', `--outputFile.json=${report}`];
    const succeeded = await run('vitest', ['run', '--project', project, ...files, ...reporters], {
      ...options,
      live: true,
    });
    if (!existsSync(report)) return false;
    const counts = /** @type {VitestReport} */ (JSON.parse(readFileSync(report, 'utf8')));
    addFigures(counts);
    addFailures(project, counts);
    const { numPassedTests: passed, numFailedTests: failed, numPendingTests: skipped } = counts;
    // A file that does not load, or an error outside of any test, fails the run without failing a test.
    return { passed, failed: succeeded ? failed : Math.max(failed, 1), skipped };
  });
}

const all = process.argv.includes('--all');
const start = performance.now();
await setUp();
mkdirSync(reports, { recursive: true });

const outcomes = await Promise.all([
  timed('format', () => run('prettier', ['--check', '--log-level', 'warn', '.'])),
  timed('lint', () => run('eslint', ['--max-warnings', '0', '.'])),
  timed('types', async () => (await run('tsc', [])) && (await run('tsc', ['-p', 'tsconfig.build.json', '--noEmit']))),
]);
outcomes.push(await tests('node'), await tests('package'));

/** @type {string | undefined} */
let browser;
outcomes.push(
  await timed('browser', async () => {
    browser = await ensureBrowser();
    console.log(browser);
    return true;
  }),
);
const inBrowser = { env: { PUPPETEER_EXECUTABLE_PATH: browser ?? '' } };
const lavapipe = ensureLavapipe() !== undefined;
if (!lavapipe) {
  console.error(
    'NOT TESTED: native float16, and Dawn in Node. They need a Vulkan driver: set VK_DRIVER_FILES to one, or run this on Debian, where it can be fetched.',
  );
}

/** What Chromium's software adapter cannot run: float16 without conversion, and Node. */
const inNodeAlone = ['test/browser/conformance.test.ts', 'test/browser/random-shapes.test.ts', 'test/dawn/'];

// Two at a time, since each alone leaves half of two cores idle. The tests that drive pages from Node run alone: they wait in real time.
const runs = [];
if (browser !== undefined) runs.push(tests('chromium', inBrowser));
if (lavapipe) runs.push(tests('dawn', all ? {} : { files: inNodeAlone }));
outcomes.push(...(await Promise.all(runs)));
if (browser !== undefined) {
  outcomes.push(await tests('demo', inBrowser), await tests('places', inBrowser));
  if (all) outcomes.push(await tests('soak', inBrowser));
}
if (lavapipe && all) {
  const env = findLavapipe() ?? {};
  outcomes.push(
    ...(await Promise.all([tests('deno', { deno: ensureDeno() ?? 'deno', env }), tests('firefox', { env })])),
  );
}

/** @param {'passed' | 'failed'} key */
const total = (key) => outcomes.reduce((sum, outcome) => sum + outcome[key], 0);
for (const failure of failures) console.log(`\n✗ ${failure}`);
console.log(`\n${outcomes.map(summary).join('\n')}`);
console.log([...figures].map(([name, value]) => `${name}: ${value}`).join(', '));
console.log(`in ${((performance.now() - start) / 1000).toFixed(0)} s`);
console.log(`${total('passed')} passed, ${total('failed')} failed`);
process.exitCode = total('failed') === 0 ? 0 : 1;
