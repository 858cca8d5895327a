/** The package as it is published: built, put where npm would put it, then compiled against, run and listed. */
import { execFileSync } from 'node:child_process';
import { cpSync, existsSync, mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));
const consumer = mkdtempSync(join(tmpdir(), 'consumer-'));
const installed = join(consumer, 'node_modules', 'webgpu-conv-transpose2d');

interface Manifest {
  exports: Record<string, string | { types: string; default: string }>;
  files: string[];
  dependencies?: object;
}
const manifest = JSON.parse(readFileSync(join(root, 'package.json'), 'utf8')) as Manifest;

/** Runs Node and returns what it printed; a failure carries everything that it said. */
function node(args: readonly string[], cwd: string): string {
  try {
    return execFileSync(process.execPath, args, { cwd, encoding: 'utf8', stdio: 'pipe' });
  } catch (error) {
    const { stdout, stderr } = error as { stdout: string; stderr: string };
    throw new Error(`node ${args.join(' ')}\n${stdout}\n${stderr}`, { cause: error });
  }
}

const bin = (path: string): string => join(root, 'node_modules', path);

beforeAll(() => {
  mkdirSync(installed, { recursive: true });
  const dist = join(installed, 'dist');
  node([bin('vite/bin/vite.js'), 'build', '--logLevel', 'warn', '--outDir', dist], root);
  node([bin('typescript/bin/tsc'), '-p', 'tsconfig.build.json', '--outDir', join(dist, 'types')], root);
  for (const name of ['package.json', ...manifest.files.filter((name) => name !== 'dist')]) {
    cpSync(join(root, name), join(installed, name), { recursive: true });
  }
});

afterAll(() => {
  rmSync(consumer, { recursive: true, force: true });
});

test('every export leads to a file', () => {
  const targets = Object.values(manifest.exports).flatMap((target) =>
    typeof target === 'string' ? [target] : Object.values(target),
  );
  const missing = targets.filter((target) => !target.includes('*') && !existsSync(join(installed, target)));
  expect(missing).toEqual([]);
});

test.each(['bundler', 'nodenext'])(
  'its types compile in a consumer, all libraries checked (%s)',
  (moduleResolution) => {
    cpSync(join(root, 'test/package/consumer.ts'), join(consumer, 'consumer.ts'));
    writeFileSync(join(consumer, 'package.json'), '{ "type": "module" }');
    const compilerOptions = {
      target: 'ES2022',
      lib: ['ES2022', 'DOM'],
      module: moduleResolution === 'bundler' ? 'ESNext' : 'NodeNext',
      moduleResolution,
      types: [],
      strict: true,
      exactOptionalPropertyTypes: true,
      skipLibCheck: false,
      noEmit: true,
    };
    writeFileSync(join(consumer, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['consumer.ts'] }));
    const listed = node([bin('typescript/bin/tsc'), '-p', consumer, '--listFiles'], consumer);
    expect(listed).toContain(join('webgpu-conv-transpose2d', 'dist', 'types', 'index.d.ts'));
  },
);

test('it runs in Node without a GPU and without anything else installed', () => {
  const program = `
    import { convTranspose2d } from 'webgpu-conv-transpose2d';
    import { convTranspose2dReference } from 'webgpu-conv-transpose2d/reference';
    import * as frameworks from 'webgpu-conv-transpose2d/frameworks';
    const input = { shape: [1, 2, 2, 2], data: Float32Array.from({ length: 8 }, (_, i) => i - 3) };
    const weight = { shape: [2, 1, 3, 3], data: Float32Array.from({ length: 18 }, (_, i) => (i % 5) - 2) };
    const options = { stride: 2, padding: 1, outputPadding: 1 };
    const output = await convTranspose2d(input, weight, null, { ...options, device: 'cpu' });
    const expected = convTranspose2dReference(input, weight, null, options);
    const plain = ({ shape, data }) => ({ shape: [...shape], data: [...data].map((value) => value + 0) });
    console.log(JSON.stringify([plain(output), plain(expected), Object.keys(frameworks).length > 0]));
  `;
  writeFileSync(join(consumer, 'program.mjs'), program);
  const [output, expected, importers] = JSON.parse(node(['program.mjs'], consumer)) as unknown[];
  expect(output).toEqual(expected);
  expect(importers).toBe(true);
});

test('the shaders are exported as files', () => {
  const shaders = readdirSync(join(root, 'shaders')).filter((name) => name.endsWith('.wgsl'));
  const program = `console.log(import.meta.resolve('webgpu-conv-transpose2d/shaders/${shaders[0] ?? ''}'))`;
  writeFileSync(join(consumer, 'resolve.mjs'), program);
  expect(existsSync(fileURLToPath(node(['resolve.mjs'], consumer).trim()))).toBe(true);
});

test('it has no runtime dependency', () => {
  expect(manifest.dependencies).toBeUndefined();
});
