/** What a page ships for one layer: its JavaScript bundled and minified as an application would, and the WASM it loads. */
import { readFileSync } from 'node:fs';
import { gzipSync } from 'node:zlib';
import { join } from 'node:path';
import { root } from '../scripts/setup.mjs';
import { libraryConfig } from './page.mjs';

const onnxRuntime = join(root, 'node_modules', 'onnxruntime-web', 'dist');

/** What each ships is what this module imports, and the files beside it. */
const shipped = [
  {
    name: 'ours: ConvTranspose2d, requestDevice',
    code: `export { ConvTranspose2d, requestDevice } from 'webgpu-conv-transpose2d';`,
  },
  { name: 'ours: convTranspose2d', code: `export { convTranspose2d } from 'webgpu-conv-transpose2d';` },
  { name: 'ours: everything in the main entry', code: `export * from 'webgpu-conv-transpose2d';` },
  {
    name: 'TensorFlow.js: conv2dTranspose, webgpu',
    code: `export { conv2dTranspose, setBackend, tensor4d } from '@tensorflow/tfjs-core'; import '@tensorflow/tfjs-backend-webgpu';`,
  },
  {
    name: 'ONNX Runtime: webgpu',
    files: ['ort.webgpu.bundle.min.mjs', 'ort-wasm-simd-threaded.asyncify.wasm'].map((file) => join(onnxRuntime, file)),
  },
  {
    name: 'ONNX Runtime: wasm',
    files: ['ort.wasm.bundle.min.mjs', 'ort-wasm-simd-threaded.wasm'].map((file) => join(onnxRuntime, file)),
  },
];

/** @param {string} code */
async function bundle(code) {
  const { build } = await import('vite');
  const entry = 'virtual:shipped';
  const config = await libraryConfig();
  const result = await build({
    ...config,
    plugins: [
      ...config.plugins,
      {
        name: 'shipped',
        resolveId: (id) => (id === entry ? join(root, 'bench', 'shipped.ts') : null),
        load: (id) => (id === join(root, 'bench', 'shipped.ts') ? code : null),
      },
    ],
    root: join(root, 'bench'),
    logLevel: 'error',
    build: {
      write: false,
      minify: true,
      target: 'es2022',
      chunkSizeWarningLimit: 10_000,
      rolldownOptions: { input: entry, preserveEntrySignatures: 'strict' },
    },
  });
  if (!('output' in result)) throw new Error('one bundle was expected');
  return result.output.map((part) => Buffer.from(part.type === 'chunk' ? part.code : part.source));
}

export async function measureSizes() {
  const sizes = [];
  for (const { name, code, files } of shipped) {
    const parts = files ? files.map((file) => readFileSync(file)) : await bundle(code);
    sizes.push({
      name,
      bytes: parts.reduce((sum, part) => sum + part.length, 0),
      gzipped: parts.reduce((sum, part) => sum + gzipSync(part, { level: 9 }).length, 0),
    });
  }
  return sizes;
}
