/** What goes wrong on a device, as errors of ours. */
import { ConvTranspose2dError } from '../errors.ts';

const losses = new WeakMap<GPUDevice, { error: ConvTranspose2dError | undefined }>();

/** Starts to watch a device, so that its loss is known without asking. */
export function watch(device: GPUDevice): void {
  if (losses.has(device)) return;
  const state: { error: ConvTranspose2dError | undefined } = { error: undefined };
  losses.set(device, state);
  void device.lost.then(({ reason, message }) => {
    state.error = new ConvTranspose2dError('DEVICE_LOST', `the WebGPU device was lost (${reason}): ${message}`);
  });
}

/** The error of a device that is lost; undefined while it lives. */
export function lossOf(device: GPUDevice): ConvTranspose2dError | undefined {
  watch(device);
  return losses.get(device)?.error;
}

/** Calls of a device that is lost may fail before it says so. In milliseconds: after that, something else was wrong. */
const LATE = 250;

/** The error of a device whose call has failed, if it was lost. */
export async function lossBehind(
  device: GPUDevice,
  patience: number = LATE,
): Promise<ConvTranspose2dError | undefined> {
  const known = lossOf(device);
  if (known !== undefined) return known;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const late = new Promise<void>((resolve) => {
    timer = setTimeout(resolve, patience);
  });
  await Promise.race([device.lost, late]);
  clearTimeout(timer);
  return lossOf(device);
}

/** What the segment under way has made. Segments are synchronous, so that there is one at most. */
let making: Made[] | undefined;
export type Made = GPUBuffer | GPUTexture;

/** Makes a buffer, which does not outlive the failure of the segment that makes it. */
export function makeBuffer(device: GPUDevice, descriptor: GPUBufferDescriptor): GPUBuffer {
  const buffer = device.createBuffer(descriptor);
  making?.push(buffer);
  return buffer;
}

/** Makes a texture, likewise. */
export function makeTexture(device: GPUDevice, descriptor: GPUTextureDescriptor): GPUTexture {
  const texture = device.createTexture(descriptor);
  making?.push(texture);
  return texture;
}

/**
 * Runs a synchronous segment of GPU calls inside error scopes and rejects with what they caught. What it made is
 * destroyed then, and `forget` is told of it. Scopes are a stack per device, so nothing may be awaited inside.
 */
export async function inScopes<T>(
  device: GPUDevice,
  segment: () => T,
  forget?: (made: ReadonlySet<Made>) => void,
): Promise<T> {
  const made: Made[] = [];
  try {
    return await scoped(device, made, segment);
  } catch (error) {
    for (const one of made) one.destroy();
    forget?.(new Set(made));
    throw error;
  }
}

async function scoped<T>(device: GPUDevice, made: Made[], segment: () => T): Promise<T> {
  const filters = ['validation', 'out-of-memory', 'internal'] as const;
  for (const filter of filters) device.pushErrorScope(filter);
  let result: T;
  const pop = (): Promise<(GPUError | null)[]> => Promise.all(filters.map(() => device.popErrorScope()));
  making = made;
  try {
    result = segment();
  } catch (error) {
    await pop().catch(() => undefined);
    throw error;
  } finally {
    making = undefined;
  }
  let caught: (GPUError | null)[];
  try {
    caught = await pop();
  } catch (cause) {
    const lost = await lossBehind(device);
    throw lost ?? new ConvTranspose2dError('GPU_ERROR', `the device did not answer: ${String(cause)}`, { cause });
  }
  // Popped innermost first: internal, out of memory, validation.
  const [internal = null, memory = null, validation = null] = caught;
  const other = validation ?? internal;
  const lost = memory === null && other === null ? lossOf(device) : await lossBehind(device);
  if (lost !== undefined) throw lost;
  if (memory !== null) throw outOfMemory(made, memory);
  if (other !== null) throw new ConvTranspose2dError('GPU_ERROR', other.message);
  return result;
}

function outOfMemory(made: readonly Made[], { message }: GPUError): ConvTranspose2dError {
  const sized = made.map((one) => ({ label: one.label, size: 'size' in one ? one.size : 16 * one.width * one.height }));
  const asked = sized.reduce((sum, { size }) => sum + size, 0);
  const [most] = sized.sort((a, b) => b.size - a.size);
  const what = most === undefined ? '' : `, ${most.size} of them for '${most.label}'`;
  return new ConvTranspose2dError(
    'OUT_OF_MEMORY',
    `the GPU has no room for the ${asked} bytes asked for${what}: ${message}`,
  );
}
