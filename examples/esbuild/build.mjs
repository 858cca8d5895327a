import { build } from 'esbuild';

await build({
  entryPoints: { main: 'main.ts', 'upsample.worker': '../upsample.worker.ts' },
  outdir: process.argv[2] ?? 'dist',
  bundle: true,
  minify: true,
  format: 'esm',
  target: 'es2022',
});
