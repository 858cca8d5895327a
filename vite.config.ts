import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vite';
import { minifyWgsl } from './scripts/wgsl.ts';

/** What the package exports as JavaScript, and the source of each: `./name` is `src/name.ts` or `src/name/index.ts`. */
function entries(): Record<string, string> {
  const { exports } = JSON.parse(readFileSync(new URL('package.json', import.meta.url), 'utf8')) as { exports: object };
  const names = Object.entries(exports)
    .filter(([, target]) => typeof target === 'object')
    .map(([name]) => (name === '.' ? 'index' : name.slice('./'.length)));
  return Object.fromEntries(
    names.map((name) => {
      const candidates = [`src/${name}.ts`, `src/${name}/index.ts`];
      const source = candidates
        .map((path) => fileURLToPath(new URL(path, import.meta.url)))
        .find((path) => existsSync(path));
      if (source === undefined)
        throw new Error(`package.json exports '${name}', but neither ${candidates.join(' nor ')} exists.`);
      return [name, source];
    }),
  );
}

/** The library: one file an entry, shared chunks, shaders inlined. Declarations come from tsc. */
export default defineConfig(({ command }) => ({
  resolve: { tsconfigPaths: true },
  plugins: [minifyWgsl()],
  build: {
    target: 'es2022',
    lib: { entry: command === 'build' ? entries() : '', formats: ['es'] },
    minify: false,
    sourcemap: true,
    rolldownOptions: {
      external: /^@tensorflow\//,
      // A chunk for each set of entries that need it, so that what is loaded later needs as little as possible of what was first.
      experimental: { chunkOptimization: false },
      output: { entryFileNames: '[name].js', chunkFileNames: 'chunks/[name]-[hash].js' },
    },
  },
}));
