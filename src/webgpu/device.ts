/** Requests devices, and keeps the one that layers share. */
import { ConvTranspose2dError } from '../errors.ts';
import { checkedBy, ofType, oneOf, optionsOf, type Rule } from '../options.ts';
import type { Capabilities, Limits } from '../capabilities.ts';
import type { Device } from '../types.ts';
import { getOrMake } from './get-or-make.ts';
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

/** Limits to raise to the adapter's maximum: the kernels gain from them, or a caller's own kernels on the same device. */
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
/**
 * GPUs emulated on the CPU whose samplers are exact, which the kernels for emulated GPUs need. Others get the kernels for real ones:
 * Direct3D's WARP, which is not exact (HansKristian-Work/vkd3d-proton, pull request 1884), and those that do not say what they are.
 */
const SAMPLES_EXACTLY = /swiftshader|llvmpipe|lavapipe|mesa software/i;

/** An adapter's description of itself; older browsers have none. */
const descriptionOf = (info: Partial<GPUAdapterInfo> = {}): string =>
  [info.vendor, info.architecture, info.device, info.description].filter(Boolean).join(' ');

const RULES: Readonly<Record<keyof RequestDeviceOptions, Rule>> = {
  fallback: [oneOf, 'cpu', ['cpu', 'throw']],
  allowSoftware: [ofType, false, ['boolean', 'true or false']],
  powerPreference: [oneOf, undefined, ['low-power', 'high-performance']],
  onFallback: [ofType, undefined, ['function', 'a function, or left out']],
};

/**
 * The best device there is: a hardware GPU with the limits and features that the kernels gain from, else 'cpu' with the
 * reason reported.
 * @throws ConvTranspose2dError INVALID_ARGUMENT; UNSUPPORTED with `fallback: 'throw'`
 */
export async function requestDevice(options: RequestDeviceOptions = {}): Promise<Device> {
  const given = checkedBy(RULES, optionsOf(options, Object.keys(RULES))) as RequestDeviceOptions;
  const device = await deviceOrReason(given).catch((cause: unknown) => `WebGPU gave no device: ${String(cause)}`);
  if (typeof device !== 'string') return device;
  if (given.fallback === 'throw') throw new ConvTranspose2dError('UNSUPPORTED', device);
  options.onFallback?.(device);
  return 'cpu';
}

/** A GPU, or why there is none that will do. */
async function deviceOrReason({ allowSoftware, powerPreference }: RequestDeviceOptions): Promise<GPUDevice | string> {
  // Older browsers and Node have no navigator.gpu, whatever the types say.
  const gpu = (globalThis.navigator as Partial<Navigator> | undefined)?.gpu;
  if (!gpu) return NO_WEBGPU;
  const adapter = await gpu.requestAdapter(powerPreference && { powerPreference });
  if (adapter === null) return 'WebGPU has no adapter: no GPU that it supports, or it is switched off';
  const info = adapter.info as GPUAdapterInfo | undefined;
  const description = descriptionOf(info);
  if (allowSoftware !== true && (info?.isFallbackAdapter === true || SOFTWARE.test(description))) {
    return `the only WebGPU adapter is emulated in software (${description}), and slower than the CPU path`;
  }
  const device = await adapter.requestDevice({
    label: 'conv-transpose2d',
    requiredLimits: Object.fromEntries(LIMITS.map((name) => [name, adapter.limits[name]])),
    requiredFeatures: adapter.features.has('shader-f16') ? ['shader-f16'] : [],
  });
  watch(device);
  return device;
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
  // One more than ATTEMPTS, since the first device may be an old one that was lost long ago.
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
  // Waits for an answer from the device: one that was lost at once is known to be lost then.
  if (device !== 'cpu') {
    await device.queue.onSubmittedWorkDone().catch(() => undefined);
    await lossBehind(device, 0);
  }
  return { device, because };
}

/** WebGPU's default limits. Source: the specification's table of limits. */
const DEFAULT_LIMITS: Limits = {
  maxBufferSize: 256 * 2 ** 20,
  maxStorageBufferBindingSize: 128 * 2 ** 20,
  minStorageBufferOffsetAlignment: 256,
  maxComputeWorkgroupsPerDimension: 65535,
};

/** As plain data. */
const limitsOf = (limits: Limits): Limits =>
  Object.fromEntries(
    Object.keys(DEFAULT_LIMITS).map((name) => [name, limits[name as keyof Limits]]),
  ) as unknown as Limits;

const UNLIMITED: Limits = {
  maxBufferSize: Infinity,
  maxStorageBufferBindingSize: Infinity,
  minStorageBufferOffsetAlignment: 4,
  maxComputeWorkgroupsPerDimension: Infinity,
};

/** Kernels that computed wrong numbers, by adapter: for the session, whichever device they were on. */
const setAside = new Map<string, Set<string>>();

/** The set for a device's adapter. Kernels that are added to it are not used there any more. */
export const setAsideOn = (device: GPUDevice): Set<string> => getOrMake(setAside, adapterOf(device), () => new Set());

/** The description of a device's adapter. */
export const adapterOf = (device: Partial<GPUDevice>): string => descriptionOf(device.adapterInfo);

/** What a plan may count on: of a device, of the CPU, or of the defaults while no device is known. */
export function capabilitiesOf(device: Device | undefined, because: string): Capabilities {
  const plain = { because, shaderF16: false, software: false };
  if (device === undefined) return { ...plain, device: 'assumed', limits: DEFAULT_LIMITS };
  if (device === 'cpu') return { ...plain, device, limits: UNLIMITED };
  return {
    device: 'webgpu',
    because,
    limits: limitsOf(device.limits),
    shaderF16: device.features.has('shader-f16'),
    software: SAMPLES_EXACTLY.test(adapterOf(device)),
    setAside: setAsideOn(device),
  };
}
