/**
 * Makes a fresh clone ready: installs the locked dependencies when they are missing or not the lock file's, and builds
 * what git does not keep.
 * Uses Node's own modules alone, for it runs before anything is installed.
 */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The repository's root, without a trailing slash. */
export const root = fileURLToPath(new URL('..', import.meta.url)).replace(/[\\/]$/, '');

const stamp = join(root, 'node_modules', '.setup-stamp');

/** @returns {string} what the installed packages must match: the lock file and the platform's binaries. */
function wanted() {
  const lock = readFileSync(join(root, 'package-lock.json'));
  return `${createHash('sha256').update(lock).digest('hex')} ${process.platform}-${process.arch}`;
}

/** Installs what `package-lock.json` names and makes the CPU path's WebAssembly and worker, unless that is done already. */
export async function setUp() {
  install();
  const { buildAssembly } = await import('./build-assembly.mjs');
  await buildAssembly();
  const { buildWorker } = await import('./build-worker.mjs');
  await buildWorker();
}

function install() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < 20 || (major === 20 && minor < 19)) {
    throw new Error(`Node 20.19 or newer is needed; this is ${process.versions.node}.`);
  }
  if (existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted()) return;

  console.log('Installing dependencies (npm ci) …');
  // No dependency needs an install script here, and puppeteer's would download a browser: scripts/browser.mjs finds one.
  const { status } = spawnSync(
    'npm',
    ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--no-update-notifier', '--loglevel=error'],
    {
      cwd: root,
      env: { ...process.env, NODE_ENV: 'development', PUPPETEER_SKIP_DOWNLOAD: '1' },
      shell: process.platform === 'win32',
      stdio: 'inherit',
    },
  );
  if (status !== 0) throw new Error('npm ci failed: see above.');
  writeFileSync(stamp, wanted());
}

/**
 * Whether a module is the one that Node was started with.
 * @param {string} url its import.meta.url
 * @returns {boolean}
 */
export function isMain(url) {
  return process.argv[1] !== undefined && fileURLToPath(url) === process.argv[1];
}

if (isMain(import.meta.url)) await setUp();
