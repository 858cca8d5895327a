/** Builds, serves and opens the benchmark's pages. Dependencies are imported late: a fresh clone installs them first. */
import { join } from 'node:path';
import { ensureBrowser } from '../scripts/browser.mjs';
import { root } from '../scripts/setup.mjs';
import { buildDirectOnly, directOnly } from './direct-only.mjs';

const outDir = join(root, '.cache', 'bench', 'page');

/** What the library and its users share: its own names, and shaders as they ship. */
export async function libraryConfig() {
  const { loadConfigFromFile } = await import('vite');
  const loaded = await loadConfigFromFile({ command: 'serve', mode: 'production' }, join(root, 'vite.config.ts'));
  if (!loaded) throw new Error('vite.config.ts is missing');
  const { resolve, plugins } = loaded.config;
  return { configFile: /** @type {const} */ (false), resolve: resolve ?? {}, plugins: plugins ?? [] };
}

export async function buildPage() {
  const { build } = await import('vite');
  const config = await libraryConfig();
  await buildDirectOnly(config);
  const pages = join(root, 'bench', 'page');
  await build({
    ...config,
    plugins: [...config.plugins, directOnly()],
    root: pages,
    base: './',
    logLevel: 'error',
    build: {
      outDir,
      emptyOutDir: true,
      target: 'es2022',
      chunkSizeWarningLimit: 10_000,
      rolldownOptions: { input: ['index.html', 'cold.html', 'one-thread.html'].map((page) => join(pages, page)) },
    },
    worker: { format: 'es' },
  });
}

/** Serves what was built, cross-origin isolated. */
export async function servePage() {
  const { preview } = await import('vite');
  const server = await preview({
    configFile: false,
    root: join(root, 'bench', 'page'),
    logLevel: 'error',
    build: { outDir },
    preview: {
      host: '127.0.0.1',
      port: 0,
      headers: { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' },
    },
  });
  const address = server.httpServer.address();
  if (!address || typeof address === 'string') throw new Error('the page has no address');
  return { url: `http://127.0.0.1:${address.port}/`, close: () => server.close() };
}

/**
 * A fresh browser, with the GPU that the machine has or, without one, SwiftShader.
 * @param {boolean} software
 */
export async function launch(software) {
  const { default: puppeteer } = await import('puppeteer');
  return puppeteer.launch({
    executablePath: await ensureBrowser(),
    headless: true,
    protocolTimeout: 0,
    args: [
      '--no-sandbox',
      '--enable-unsafe-webgpu',
      ...(software ? ['--use-webgpu-adapter=swiftshader'] : ['--enable-features=Vulkan', '--ignore-gpu-blocklist']),
      '--disable-quic',
      '--no-first-run',
      '--disable-background-networking',
      '--disable-component-update',
      '--disable-sync',
    ],
  });
}
