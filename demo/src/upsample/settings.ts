import { readChoice, readInteger } from '../address.ts';
import { readDevice, type DeviceChoice } from '../device.ts';
import { KERNEL_CHOICES, SCALES, type KernelChoice, type Scale } from './kernels.ts';

/** What of the view is kept in the address. */
export interface Settings {
  readonly device: DeviceChoice;
  readonly scale: Scale;
  readonly kernel: KernelChoice;
}

const DEFAULT_SCALE = 3;
const DEFAULT_KERNEL = 'bicubic';

/** What the address does not say, or says wrongly, is left at its default. */
export function readSettings(params: URLSearchParams): Settings {
  const scale = readInteger(params, 'scale', [0, 99], DEFAULT_SCALE);
  return {
    device: readDevice(params),
    scale: SCALES.find((each) => each === scale) ?? DEFAULT_SCALE,
    kernel: readChoice(params, 'kernel', KERNEL_CHOICES, DEFAULT_KERNEL),
  };
}

/** The parameters of the address for the settings; null for defaults, which it does not say. */
export function writeSettings({ device, scale, kernel }: Settings): Record<string, string | null> {
  return {
    device: device === 'auto' ? null : device,
    scale: scale === DEFAULT_SCALE ? null : String(scale),
    kernel: kernel === DEFAULT_KERNEL ? null : kernel,
  };
}
