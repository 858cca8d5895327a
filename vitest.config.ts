import { defineConfig, type TestProjectConfiguration } from 'vitest/config';
import { buildWorker } from './scripts/build-worker.mjs';
import { findLavapipe } from './scripts/lavapipe.mjs';
import { minifyWgsl } from './scripts/wgsl.ts';
import {
  collectedHeap,
  crashGpuProcess,
  gpuProcessorTime,
  longestTask,
  puppeteerProvider,
  recordTasks,
  takePageErrors,
} from './test/support/puppeteer-provider.ts';

// The worker is text that is made of sources: tests have it as the sources are.
await buildWorker();

const needPage = 'test/browser/**/*.page.test.ts';

/** What takes minutes on a slow GPU and tries the library more than its drivers: once in Chromium and once in Dawn is enough. */
const longest = ['memory', 'random-shapes', 'verify'].map((name) => `test/browser/${name}.test.ts`);

/** Where every readback takes 100 ms: what tries each kernel, each pipeline, each error. Deno, of the same wgpu, does the rest. */
const inFirefox = [
  'adapter',
  'compile',
  'endings',
  'errors',
  'gpu-packing',
  'kernels',
  'layer',
  'request-device',
  'shaders',
  'size',
].map((name) => `test/browser/${name}.test.ts`);

interface BrowserTests {
  readonly include: string[];
  readonly exclude?: string[];
  readonly browser?: 'chromium' | 'firefox';
}

/** Tests in a page of a headless browser: what vitest calls the project, and what its only instance. */
const inBrowser = (
  name: string,
  instance: string,
  { include, exclude = [], browser = 'chromium' }: BrowserTests,
): TestProjectConfiguration => ({
  extends: true,
  // Shaders as they are published.
  plugins: [minifyWgsl()],
  // Found in advance, since a dependency that is found late reloads the page in the middle of a test. ONNX Runtime loads
  // its WebAssembly from beside its module, which must stay where it is.
  optimizeDeps: {
    include: ['fast-check', '@tensorflow/tfjs', '@tensorflow/tfjs-backend-webgpu'],
    exclude: ['onnxruntime-web'],
  },
  // Cross-origin isolated, so that the CPU path has its threads.
  server: {
    headers: { 'Cross-Origin-Opener-Policy': 'same-origin', 'Cross-Origin-Embedder-Policy': 'require-corp' },
  },
  test: {
    name,
    include,
    exclude,
    setupFiles: ['test/support/setup-browser.ts'],
    browser: {
      enabled: true,
      headless: true,
      ui: false,
      screenshotFailures: false,
      provider: puppeteerProvider(browser),
      instances: [{ browser, name: instance }],
      commands: { takePageErrors, collectedHeap, recordTasks, longestTask, gpuProcessorTime, crashGpuProcess },
    },
  },
});

/** See test/support for what each runs in. `npx vitest run --project node` runs one. */
export default defineConfig({
  resolve: { tsconfigPaths: true },
  test: {
    fileParallelism: false,
    // For what hangs. An idle machine is far from these times, but others may have it.
    testTimeout: 300_000,
    hookTimeout: 300_000,
    expect: { poll: { timeout: 30_000 } },
    projects: [
      {
        extends: true,
        test: { name: 'node', include: ['test/unit/**/*.test.ts'] },
      },
      {
        // What is published: built, packed, and compiled and run by a consumer.
        extends: true,
        test: { name: 'package', include: ['test/package/**/*.test.ts'] },
      },
      inBrowser('browser', 'chromium', { include: ['test/browser/**/*.test.ts'] }),
      // Hours of use in minutes: what `npm run test:all` alone has time for.
      inBrowser('soaked', 'soak', { include: ['test/soak/**/*.test.ts'] }),
      // Another browser, with another implementation of WebGPU. Tests that need Chromium's page end in `.page.test.ts`.
      inBrowser('other', 'firefox', { include: inFirefox, browser: 'firefox' }),
      {
        // The demo page, in a browser that the test drives from Node.
        extends: true,
        test: { name: 'demo', include: ['test/demo/**/*.test.ts'] },
      },
      {
        // The examples, built and served as their users would, in a browser that the test drives from Node.
        extends: true,
        test: { name: 'places', include: ['test/places/**/*.test.ts'] },
      },
      {
        // The same tests again, in Node, with Dawn on lavapipe or on the Vulkan driver that VK_DRIVER_FILES names.
        // Tests that need a page end in `.page.test.ts`; test/dawn is of Node alone.
        extends: true,
        plugins: [minifyWgsl()],
        test: {
          name: 'dawn',
          include: ['test/browser/**/*.test.ts', 'test/dawn/**/*.test.ts'],
          exclude: [needPage],
          setupFiles: ['test/support/setup-dawn.ts'],
          env: { ...findLavapipe() },
          pool: 'forks',
        },
      },
      {
        // And in Deno: another implementation of WebGPU, and another compiler of WGSL.
        extends: true,
        test: {
          name: 'deno',
          include: ['test/browser/**/*.test.ts'],
          exclude: [needPage, ...longest],
          setupFiles: ['test/support/setup-deno.ts'],
          pool: 'forks',
        },
      },
    ],
  },
});
