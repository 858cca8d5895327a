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

/**
 * Runs a synchronous segment of GPU calls inside error scopes and rejects with what they caught. Scopes are a stack per
 * device, so nothing may be awaited inside.
 */
export async function inScopes<T>(device: GPUDevice, segment: () => T): Promise<T> {
  const filters = ['validation', 'out-of-memory', 'internal'] as const;
  for (const filter of filters) device.pushErrorScope(filter);
  let result: T;
  const pop = (): Promise<(GPUError | null)[]> => Promise.all(filters.map(() => device.popErrorScope()));
  try {
    result = segment();
  } catch (error) {
    await pop().catch(() => undefined);
    throw error;
  }
  let caught: (GPUError | null)[];
  try {
    caught = await pop();
  } catch (cause) {
    throw (
      lossOf(device) ?? new ConvTranspose2dError('GPU_ERROR', `the device did not answer: ${String(cause)}`, { cause })
    );
  }
  // Popped innermost first: internal, out of memory, validation.
  const [internal = null, memory = null, validation = null] = caught;
  const lost = lossOf(device);
  if (lost !== undefined) throw lost;
  if (memory !== null) throw new ConvTranspose2dError('OUT_OF_MEMORY', memory.message);
  const other = validation ?? internal;
  if (other !== null) throw new ConvTranspose2dError('GPU_ERROR', other.message);
  return result;
}
