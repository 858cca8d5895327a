/** Runs hostile calls and measures the time and the memory (arrays and GPU buffers) that they take. */
import fc from 'fast-check';
import type { Device } from '../../src/index.ts';
import { attempt, attemptShape, hostileCalls, OVERHEAD, PATIENCE } from './hostile.ts';

/** The same calls in every run. */
const SEED = 20_231_117;

/** How many of the calls came to what. */
export type Verdicts = Record<string, number>;

/**
 * @param devices that calls are made on: the first, or the second where a call asks for the GPU
 * @param allocated bytes of GPU buffers that were ever asked for
 */
export async function fuzz(
  runs: number,
  devices: readonly [Device, Device],
  allocated: () => number,
): Promise<Verdicts> {
  const verdicts: Verdicts = {};
  const arrays = countArrays();
  const property = fc.asyncProperty(hostileCalls, async (hostile) => {
    const before = arrays.bytes + allocated();
    const began = performance.now();
    attemptShape(hostile);
    const { verdict, bytes } = await attempt(hostile, devices[hostile.onGpu ? 1 : 0]);
    verdicts[verdict] = (verdicts[verdict] ?? 0) + 1;
    const [took, taken] = [performance.now() - began, arrays.bytes + allocated() - before];
    if (!(took < PATIENCE)) throw new Error(`it took ${took} ms`);
    const small = verdict === 'planned' ? 0 : bytes;
    if (!(taken <= 8 * small + OVERHEAD)) throw new Error(`it took ${taken} bytes for ${small} bytes of tensors`);
  });
  try {
    await fc.assert(property, { numRuns: runs, seed: SEED, endOnFailure: true });
  } finally {
    arrays.stop();
  }
  return verdicts;
}

/** Counts the bytes that array buffers and typed arrays are made with from here on. */
function countArrays(): { readonly bytes: number; stop(): void } {
  const names = [
    'ArrayBuffer',
    'Float32Array',
    'Float64Array',
    'Uint8Array',
    'Uint16Array',
    'Uint32Array',
    'Int32Array',
  ] as const;
  const originals = Object.fromEntries(names.map((name) => [name, globalThis[name]]));
  const counted = { bytes: 0, stop: () => void Object.assign(globalThis, originals) };
  for (const name of names) {
    const size = name === 'ArrayBuffer' ? 1 : globalThis[name].BYTES_PER_ELEMENT;
    const watched: ProxyHandler<typeof ArrayBuffer> = {
      construct(target, [length, ...rest]: unknown[], newTarget) {
        if (typeof length === 'number') counted.bytes += size * length;
        return Reflect.construct(target, [length, ...rest], newTarget) as object;
      },
    };
    Object.assign(globalThis, { [name]: new Proxy(globalThis[name] as unknown as typeof ArrayBuffer, watched) });
  }
  return counted;
}
