/** Runs before each test file in Deno, whose own WebGPU is wgpu, with the shader compiler Naga. */
import { parentPort } from 'node:worker_threads';
import { failOnGpuErrors } from './fail-on-gpu-errors.ts';

if (!('Deno' in globalThis)) throw new Error('These tests run in Deno: npm run test:all');
// Vitest ends a worker with it, and Deno has it not.
Object.assign(parentPort ?? {}, { removeAllListeners: () => parentPort });
// Deno panics when an adapter is collected while devices of it live, or after: none is.
const kept: unknown[] = [];
Object.defineProperty(globalThis, 'keptOfWebGPU', { value: kept });
const requestAdapter = navigator.gpu.requestAdapter.bind(navigator.gpu);
Object.defineProperty(navigator.gpu, 'requestAdapter', {
  configurable: true,
  writable: true,
  value: async (options?: GPURequestAdapterOptions) => {
    const adapter = await requestAdapter(options);
    kept.push(adapter);
    return adapter;
  },
});
failOnGpuErrors();
