/** Turns what goes wrong on a device into this package's errors, and undoes what a failed segment has made. */
import { ConvTranspose2dError } from '../errors.ts';

interface Loss {
  error: ConvTranspose2dError | undefined;
}
const losses = new WeakMap<GPUDevice, Loss>();

/** Starts to watch a device, so that its loss is known without asking. */
export function watch(device: GPUDevice): Loss {
  const known = losses.get(device);
  if (known !== undefined) return known;
  const loss: Loss = { error: undefined };
  losses.set(device, loss);
  void device.lost.then(({ reason, message }) => {
    loss.error = new ConvTranspose2dError('DEVICE_LOST', `the WebGPU device was lost (${reason}): ${message}`);
  });
  return loss;
}

/** The error of a device that is lost; undefined while it lives. */
export const lossOf = (device: GPUDevice): ConvTranspose2dError | undefined => watch(device).error;

/** Calls may fail before the browser reports that the device is lost. After this many milliseconds, something else was wrong. */
const LATE = 250;

/** After a failed call: the error of the device if it was lost, undefined if something else was wrong. */
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

export type Made = GPUBuffer | GPUTexture;

/** What a segment has made so far. */
interface Making {
  readonly made: Made[];
  /** Pipelines that it compiled, and how their cache forgets them. */
  readonly compiled: { pipeline: GPUPipelineBase; forget: () => void }[];
  /** Buffers to destroy once the segment has ended. */
  readonly spent: GPUBuffer[];
}

/** What the running segment has made. Segments are synchronous, so at most one runs at a time, besides those it is nested in. */
let making: Making | undefined;

/** Makes a buffer. If the segment that makes it fails, the buffer is destroyed. */
export function makeBuffer(device: GPUDevice, descriptor: GPUBufferDescriptor): GPUBuffer {
  // COPY_DST, so that `askWhetherValid` can clear zero bytes of it.
  const buffer = device.createBuffer({ ...descriptor, usage: descriptor.usage | GPUBufferUsage.COPY_DST });
  making?.made.push(buffer);
  return buffer;
}

/** Makes a texture, likewise. */
export function makeTexture(device: GPUDevice, descriptor: GPUTextureDescriptor): GPUTexture {
  const texture = device.createTexture(descriptor);
  making?.made.push(texture);
  return texture;
}

/** Notes a pipeline that the running segment has compiled: if the segment fails, `forget` is called. */
export function compiled(pipeline: GPUPipelineBase, forget: () => void): void {
  making?.compiled.push({ pipeline, forget });
}

/** Destroys buffers of submitted work, as soon as the running segment has ended. */
export function destroySoon(buffers: readonly GPUBuffer[]): void {
  if (making === undefined) destroyAll(buffers);
  else making.spent.push(...buffers);
}

function destroyAll(made: Iterable<Made>): void {
  for (const one of made) one.destroy();
}

/** Runs a segment and notes what it makes. */
function noting<T>(noted: Making, segment: () => T): T {
  const outer = making;
  making = noted;
  try {
    return segment();
  } finally {
    making = outer;
  }
}

/**
 * Runs a synchronous segment of GPU calls inside error scopes and rejects with what they caught. What it made is
 * destroyed then, but for what `forget` takes out of it. Scopes are a stack per device, so nothing may be awaited inside.
 */
export async function inScopes<T>(device: GPUDevice, segment: () => T, forget?: (made: Set<Made>) => void): Promise<T> {
  const noted: Making = { made: [], compiled: [], spent: [] };
  const undo = (): void => {
    for (const one of noted.compiled) one.forget();
    const made = new Set(noted.made);
    forget?.(made);
    destroyAll(made);
  };
  let run: { result: T; caught: Promise<(GPUError | null)[]> };
  let caught: (GPUError | null)[];
  try {
    run = catching(device, () => noting(noted, segment));
    destroyAll(noted.spent);
    caught = await run.caught;
  } catch (error) {
    undo();
    throw error;
  }
  const [internal = null, memory = null, validation = null] = caught;
  const error = validation ?? internal;
  if (memory !== null || error !== null) {
    // Before waiting for a possible loss of the device, so that the next call starts afresh.
    undo();
    const lost = await lossBehind(device);
    if (lost !== undefined) throw lost;
    if (memory !== null) throw outOfMemory(noted.made, memory);
    throw new ConvTranspose2dError('GPU_ERROR', error!.message);
  }
  const lost = lossOf(device);
  if (lost === undefined) return run.result;
  undo();
  throw lost;
}

/**
 * Runs a synchronous segment whose errors go to the caller's own scopes. Afterwards it is checked, in scopes of ours, whether
 * everything that the segment made is valid; if not, `forget` is called with it.
 */
export function inCallersScopes<T>(device: GPUDevice, segment: () => T, forget: (made: Set<Made>) => void): T {
  const noted: Making = { made: [], compiled: [], spent: [] };
  const undo = (): void => {
    for (const one of noted.compiled) one.forget();
    forget(new Set(noted.made));
  };
  try {
    const result = noting(noted, segment);
    if (noted.made.length + noted.compiled.length > 0) {
      const { caught } = catching(device, () => {
        askWhetherValid(device, noted);
      });
      caught.then((errors) => {
        if (errors.some((error) => error !== null)) undo();
      }, undo);
    }
    return result;
  } catch (error) {
    undo();
    throw error;
  } finally {
    destroyAll(noted.spent);
  }
}

/** Uses each object in a way that raises a validation error if it is invalid. */
function askWhetherValid(device: GPUDevice, { made, compiled }: Making): void {
  const encoder = device.createCommandEncoder({ label: 'conv-transpose2d check' });
  for (const one of made) {
    if ('size' in one) encoder.clearBuffer(one, 0, 0);
    else one.createView();
  }
  for (const { pipeline } of compiled) pipeline.getBindGroupLayout(0);
  encoder.finish();
}

/** Runs a segment in three error scopes; `caught` is what each caught, innermost first. */
function catching<T>(device: GPUDevice, segment: () => T): { result: T; caught: Promise<(GPUError | null)[]> } {
  const filters = ['validation', 'out-of-memory', 'internal'] as const;
  for (const filter of filters) device.pushErrorScope(filter);
  const pop = (): Promise<(GPUError | null)[]> => Promise.all(filters.map(() => device.popErrorScope()));
  let result: T;
  try {
    result = segment();
  } catch (error) {
    pop().catch(() => undefined);
    throw error;
  }
  const caught = pop().catch(async (cause: unknown) => {
    const lost = await lossBehind(device);
    throw lost ?? new ConvTranspose2dError('GPU_ERROR', `the device did not answer: ${String(cause)}`, { cause });
  });
  return { result, caught };
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
