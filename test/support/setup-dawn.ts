/** Runs before each test file in Node: Dawn, from npm's `webgpu`, becomes `navigator.gpu`. */
import { create, globals } from 'webgpu';
import { failOnGpuErrors } from './fail-on-gpu-errors.ts';

Object.assign(globalThis, globals);
// Dawn crashes when its GPU is collected while devices live. A property of globalThis is never collected.
const gpu = create([]);
Object.defineProperty(globalThis, 'dawn', { value: gpu });
Object.defineProperty(globalThis, 'navigator', { value: { gpu }, configurable: true });
failOnGpuErrors();
