/** A user's project with the package installed as by npm: built, without type declarations. */
import { execFileSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('../..', import.meta.url));

export interface Installed {
  /** The folder, which has the examples in `examples/`. */
  readonly folder: string;
  /** The package's own built files. */
  readonly dist: string;
  remove(): void;
}

/** Builds the package into a new folder; `others` are packages that the user has too. */
export function install(others: readonly string[]): Installed {
  const folder = mkdtempSync(join(tmpdir(), 'places-'));
  const installed = join(folder, 'node_modules', 'webgpu-conv-transpose2d');
  const dist = join(installed, 'dist');
  mkdirSync(installed, { recursive: true });
  const vite = join(root, 'node_modules/vite/bin/vite.js');
  execFileSync(process.execPath, [vite, 'build', '--logLevel', 'warn', '--outDir', dist], { cwd: root, stdio: 'pipe' });
  cpSync(join(root, 'package.json'), join(installed, 'package.json'));
  cpSync(join(root, 'examples'), join(folder, 'examples'), { recursive: true });
  for (const name of others) symlinkSync(join(root, 'node_modules', name), join(folder, 'node_modules', name), 'dir');
  writeFileSync(join(folder, 'package.json'), '{ "type": "module", "private": true }');
  return {
    folder,
    dist,
    remove: () => {
      rmSync(folder, { recursive: true, force: true });
    },
  };
}
