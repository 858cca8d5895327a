/** Asking for a device, and the one that layers share. */
import { ConvTranspose2dError } from '../errors.ts';
import { oneOf, optionsOf } from '../options.ts';
import type { Capabilities, Limits } from '../capabilities.ts';
import type { Device } from '../types.ts';
import { lossBehind, lossOf, watch } from './scopes.ts';

/** Which device is asked for, and what happens when there is none. */
export interface RequestDeviceOptions {
  /** Without a fit GPU: 'cpu' resolves to 'cpu' (the default), 'throw' rejects with UNSUPPORTED. */
  fallback?: 'cpu' | 'throw' | undefined;
  /** Whether a GPU emulated in software will do. Default false: the CPU path is faster. */
  allowSoftware?: boolean | undefined;
  /** As `navigator.gpu.requestAdapter` takes it. */
  powerPreference?: GPUPowerPreference | undefined;
  /** Told why the CPU was taken. */
  onFallback?: ((reason: string) => void) | undefined;
}

/** What the kernels, or a caller's own on the same device, gain from. */
const LIMITS = [
  'maxBufferSize',
  'maxStorageBufferBindingSize',
  'maxComputeWorkgroupStorageSize',
  'maxComputeInvocationsPerWorkgroup',
  'maxComputeWorkgroupSizeX',
] as const;

const NO_WEBGPU =
  "there is no navigator.gpu: pages have it in browsers with WebGPU, from https: or localhost; Node has it by npm's webgpu";

const SOFTWARE = /swiftshader|llvmpipe|lavapipe|softpipe|software|basic render|\bcpu\b/i;

function isSoftware(info: GPUAdapterInfo | undefined): boolean {
  if (info === undefined) return false;
  const said = [info.vendor, info.architecture, info.device, info.description].join(' ');
  return info.isFallbackAdapter || SOFTWARE.test(said);
}

const named = (info: GPUAdapterInfo): string =>
  [info.description, info.architecture, info.vendor].find((text) => text !== '') ?? 'unnamed';

/**
 * The best device there is: a hardware GPU with the limits and features that the kernels gain from, else 'cpu' with the
 * reason reported.
 * @throws ConvTranspose2dError INVALID_ARGUMENT; UNSUPPORTED with `fallback: 'throw'`
 */
export async function requestDevice(options: RequestDeviceOptions = {}): Promise<Device> {
  const { fallback = 'cpu' } = optionsOf(options, ['fallback', 'allowSoftware', 'powerPreference', 'onFallback']);
  oneOf('fallback', fallback, ['cpu', 'throw']);
  const fall = (reason: string): 'cpu' => {
    if (fallback === 'throw') throw new ConvTranspose2dError('UNSUPPORTED', reason);
    options.onFallback?.(reason);
    return 'cpu';
  };
  // Older browsers and Node have no navigator.gpu, whatever the types say.
  const gpu = (globalThis.navigator as Partial<Navigator> | undefined)?.gpu;
  if (gpu === undefined) return fall(NO_WEBGPU);
  try {
    const { powerPreference } = options;
    const adapter = await gpu.requestAdapter(powerPreference === undefined ? {} : { powerPreference });
    if (adapter === null) return fall('WebGPU has no adapter: no GPU that it supports, or it is switched off');
    if (options.allowSoftware !== true && isSoftware(adapter.info)) {
      return fall(
        `the only WebGPU adapter is emulated in software (${named(adapter.info)}), and slower than the CPU path`,
      );
    }
    const device = await adapter.requestDevice({
      label: 'conv-transpose2d',
      requiredLimits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])),
      requiredFeatures: adapter.features.has('shader-f16') ? ['shader-f16'] : [],
    });
    watch(device);
    return device;
  } catch (cause) {
    if (cause instanceof ConvTranspose2dError) throw cause;
    return fall(`WebGPU gave no device: ${String(cause)}`);
  }
}

let shared: Promise<{ device: Device; because: string }> | undefined;

/** How often a call asks for a shared device, when each is lost at once. */
const ATTEMPTS = 3;

/**
 * The default device of layers that name none: asked for once, and again when it was lost.
 * @throws ConvTranspose2dError DEVICE_LOST, when the ones that it got were lost at once
 */
export async function sharedDevice(): Promise<{ device: Device; because: string }> {
  let lost: ConvTranspose2dError | undefined;
  // The first may be one that was lost long ago.
  for (let attempt = 0; attempt <= ATTEMPTS; attempt++) {
    const asked = (shared ??= ask());
    const { device } = await asked;
    if (device === 'cpu') return asked;
    lost = lossOf(device);
    if (lost === undefined) return asked;
    if (shared === asked) shared = undefined;
  }
  throw new ConvTranspose2dError('DEVICE_LOST', `${ATTEMPTS} times a new device was lost at once: ${lost?.message}`);
}

async function ask(): Promise<{ device: Device; because: string }> {
  let because = 'the shared default device';
  const device = await requestDevice({ onFallback: (reason) => (because = reason) });
  // One that is lost already has said so when it answers.
  if (device !== 'cpu') {
    await device.queue.onSubmittedWorkDone().catch(() => undefined);
    await lossBehind(device, 0);
  }
  return { device, because };
}

const limitsOf = (limits: GPUSupportedLimits): Limits => ({
  maxBufferSize: limits.maxBufferSize,
  maxStorageBufferBindingSize: limits.maxStorageBufferBindingSize,
  minStorageBufferOffsetAlignment: limits.minStorageBufferOffsetAlignment,
  maxComputeWorkgroupsPerDimension: limits.maxComputeWorkgroupsPerDimension,
});

/** WebGPU's default limits. Source: the specification's table of limits. */
const DEFAULT_LIMITS: Limits = {
  maxBufferSize: 256 * 2 ** 20,
  maxStorageBufferBindingSize: 128 * 2 ** 20,
  minStorageBufferOffsetAlignment: 256,
  maxComputeWorkgroupsPerDimension: 65535,
};

const UNLIMITED: Limits = {
  maxBufferSize: Infinity,
  maxStorageBufferBindingSize: Infinity,
  minStorageBufferOffsetAlignment: 4,
  maxComputeWorkgroupsPerDimension: Infinity,
};

/** Kernels that computed wrong numbers, by adapter: for the session, whichever device they were on. */
const setAside = new Map<string, Set<string>>();

function setAsideOn(device: GPUDevice): Set<string> {
  const adapter = adapterOf(device);
  const known = setAside.get(adapter) ?? new Set();
  setAside.set(adapter, known);
  return known;
}

/** Uses a kernel no more on this adapter. */
export function setKernelAside(device: GPUDevice, kernel: string): void {
  setAsideOn(device).add(kernel);
}

/** What the adapter says of itself. */
export function adapterOf(device: GPUDevice): string {
  const info = (device as Partial<GPUDevice>).adapterInfo;
  return [info?.vendor, info?.architecture, info?.device, info?.description].filter(Boolean).join(' ');
}

/** What a plan may count on: of a device, of the CPU, or of the defaults while no device is known. */
export function capabilitiesOf(device: Device | undefined, because: string): Capabilities {
  if (device === undefined) {
    return { device: 'assumed', because, limits: DEFAULT_LIMITS, shaderF16: false, software: false };
  }
  if (device === 'cpu') return { device: 'cpu', because, limits: UNLIMITED, shaderF16: false, software: false };
  return {
    device: 'webgpu',
    because,
    limits: limitsOf(device.limits),
    shaderF16: device.features.has('shader-f16'),
    software: isSoftware((device as Partial<GPUDevice>).adapterInfo),
    setAside: setAsideOn(device),
  };
}
