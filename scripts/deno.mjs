/** Deno, for the tests in another implementation of WebGPU. Its package cannot be locked for every platform: fetched when needed. */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { isMain, root } from './setup.mjs';

const version = '2.9.6';
const cache = join(root, '.cache', `deno-${version}`);

/** @returns {string | undefined} the path of its executable, where it could be had */
export function ensureDeno() {
  const executable = join(cache, 'node_modules', 'deno', process.platform === 'win32' ? 'deno.exe' : 'deno');
  if (existsSync(executable)) return executable;
  console.log('Fetching Deno …');
  mkdirSync(cache, { recursive: true });
  const args = ['install', '--prefix', cache, '--no-save', '--no-audit', '--no-fund', '--loglevel=error'];
  spawnSync('npm', [...args, `deno@${version}`], {
    stdio: 'inherit',
    shell: process.platform === 'win32',
    timeout: 300_000,
  });
  return existsSync(executable) ? executable : undefined;
}

if (isMain(import.meta.url)) console.log(ensureDeno() ?? 'Deno could not be had here');
