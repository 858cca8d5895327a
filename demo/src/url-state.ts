import { SCALES, type Scale } from './upsample/bilinear.ts';

export const DEVICE_CHOICES = ['auto', 'webgpu', 'cpu'] as const;
export type DeviceChoice = (typeof DEVICE_CHOICES)[number];

/** What of the page can be shared as a link. */
export interface UrlState {
  readonly device: DeviceChoice;
  readonly scale: Scale;
}

const DEFAULTS: UrlState = { device: 'auto', scale: 3 };

/** Reads the address; what it does not say, or says wrongly, is left at its default. */
export function readUrlState(search: string): UrlState {
  const given = new URLSearchParams(search);
  return {
    device: DEVICE_CHOICES.find((choice) => choice === given.get('device')) ?? DEFAULTS.device,
    scale: SCALES.find((scale) => String(scale) === given.get('scale')) ?? DEFAULTS.scale,
  };
}

/** The search part of the address for a state; other parameters in `search` are kept, defaults are left out. */
export function writeUrlState(search: string, state: UrlState): string {
  const params = new URLSearchParams(search);
  for (const key of ['device', 'scale'] as const) {
    if (state[key] === DEFAULTS[key]) params.delete(key);
    else params.set(key, String(state[key]));
  }
  const text = params.toString();
  return text && `?${text}`;
}
