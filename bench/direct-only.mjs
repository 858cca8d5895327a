/** The library built once more with no kernel but `direct`, so that it needs no hook for a benchmark to force one. */
import { join } from 'node:path';
import { root } from '../scripts/setup.mjs';

const outDir = join(root, '.cache', 'bench', 'direct-only');
const kernels = join(root, 'src', 'kernels.ts');
const choice = 'export function chooseKernel(';

/** @param {import('vite').InlineConfig} config */
export async function buildDirectOnly(config) {
  const { build } = await import('vite');
  await build({
    ...config,
    plugins: [
      ...(config.plugins ?? []),
      {
        name: 'always-direct',
        enforce: 'pre',
        transform(code, id) {
          if (id !== kernels) return null;
          if (!code.includes(choice)) throw new Error(`src/kernels.ts has no '${choice}' to replace`);
          const replacement = `export const chooseKernel = (problem) => direct(problem, 'forced by the benchmark');`;
          return `${code.replace(choice, 'function choice(')}\n${replacement}\n`;
        },
      },
    ],
    root,
    logLevel: 'error',
    build: {
      outDir,
      emptyOutDir: true,
      target: 'es2022',
      minify: false,
      lib: { entry: join(root, 'src', 'index.ts'), formats: ['es'], fileName: 'index' },
    },
  });
}

/** Resolves 'direct-only' to that build. */
export const directOnly = () => ({
  name: 'direct-only',
  resolveId: (/** @type {string} */ id) => (id === 'direct-only' ? join(outDir, 'index.js') : null),
});
