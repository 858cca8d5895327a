// Bundles src/cpu/worker.ts into src/cpu/worker-source.ts, which git ignores: as text, so that no bundler or plain page has to find
// another file. It holds no WebAssembly: the page sends the compiled module.
import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
const cpu = join(root, 'src', 'cpu');
const target = join(cpu, 'worker-source.ts');
const generated = ['wasm-simd.ts', 'wasm-relaxed-simd.ts', 'worker-source.ts'];

/** @returns {Promise<string>} the worker's code */
async function bundle() {
  // Imported here, since loading the bundler takes longer than finding that nothing changed.
  const { build } = await import('vite');
  const built = await build({
    configFile: false,
    root,
    logLevel: 'error',
    build: {
      write: false,
      target: 'es2022',
      minify: true,
      lib: { entry: join(cpu, 'worker.ts'), formats: ['iife'], name: 'worker' },
    },
  });
  const outputs = Array.isArray(built) ? built.flatMap(({ output }) => output) : [];
  const [chunk] = outputs;
  if (outputs.length !== 1 || chunk?.type !== 'chunk') throw new Error('The worker should be one chunk.');
  return chunk.code;
}

/** Bundles the worker, unless nothing has changed since the last time. */
export async function buildWorker() {
  const sources = [cpu, join(root, 'src')].flatMap((folder) =>
    readdirSync(folder)
      .filter((name) => name.endsWith('.ts') && !generated.includes(name))
      .map((name) => readFileSync(join(folder, name))),
  );
  const version = readFileSync(join(root, 'node_modules', 'vite', 'package.json'));
  const hash = createHash('sha256');
  for (const input of [readFileSync(fileURLToPath(import.meta.url)), version, ...sources]) hash.update(input);
  const stamp = `// ${hash.digest('hex')}\n`;
  if (existsSync(target) && readFileSync(target, 'utf8').startsWith(stamp)) return;

  const code = await bundle();
  const text = `// Made by scripts/build-worker.mjs from worker.ts.\nexport const workerSource: string = ${JSON.stringify(code)};\n`;
  writeFileSync(target, stamp + text);
  console.log(`worker: ${code.length} bytes`);
}

if (process.argv[1] !== undefined && fileURLToPath(import.meta.url) === process.argv[1]) await buildWorker();
