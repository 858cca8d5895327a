import { defineConfig } from 'vite';

/** With these a page is cross-origin isolated: its threads may share memory. */
const headers = { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' };

/** The demo page: it imports the package by its name, as a user would, and tsconfig.json's paths lead to the sources. */
export default defineConfig({
  root: 'demo',
  base: './',
  cacheDir: '../node_modules/.vite-demo',
  resolve: { tsconfigPaths: true },
  build: { target: 'es2022', outDir: 'dist', emptyOutDir: true },
  server: { fs: { allow: ['..'] }, headers },
  preview: { headers },
});
