import { requestDevice, type Device } from 'webgpu-conv-transpose2d';
import { readChoice } from './address.ts';
import { withDetail } from './words.ts';

export const DEVICE_CHOICES = ['auto', 'webgpu', 'cpu'] as const;
export type DeviceChoice = (typeof DEVICE_CHOICES)[number];

/** What `?device=` of an address asks for. */
export function readDevice(params: URLSearchParams): DeviceChoice {
  return readChoice(params, 'device', DEVICE_CHOICES, 'auto');
}

export interface OpenDevice {
  readonly device: Device;
  readonly name: string;
  /** What a visitor should know about it; empty where there is nothing to say. */
  readonly note: string;
  /** A GPU that the processor imitates. A canvas that it draws is blank in screenshots, and it is slower than the CPU. */
  readonly software: boolean;
}

/** The devices of the page, each opened once and shared by all views. */
export class Devices {
  /** Called when a GPU that was open is taken away from the page. */
  onLost: (() => void) | undefined;
  readonly #open = new Map<DeviceChoice, Promise<OpenDevice>>();

  /** The device that the visitor chose; for 'auto', the best there is. Opened anew where it was lost or none was given. */
  open(choice: DeviceChoice): Promise<OpenDevice> {
    const known = this.#open.get(choice);
    if (known) return known;
    const opened = openDevice(choice);
    this.#open.set(choice, opened);
    const forget = (): void => {
      if (this.#open.get(choice) === opened) this.#open.delete(choice);
    };
    opened.then(async ({ device }) => {
      if (device === 'cpu') return;
      await device.lost;
      forget();
      this.onLost?.();
    }, forget);
    return opened;
  }
}

async function openDevice(choice: DeviceChoice): Promise<OpenDevice> {
  if (choice === 'cpu') return { device: 'cpu', name: 'CPU', note: 'The processor, as chosen.', software: false };
  if (choice === 'webgpu') return describe(await requestDevice({ allowSoftware: true, fallback: 'throw' }));
  let reason = '';
  const device = await requestDevice({
    onFallback: (text) => {
      reason = text;
    },
  });
  return describe(device, reason);
}

function describe(device: Device, reason = ''): OpenDevice {
  if (device === 'cpu') {
    return {
      device,
      name: 'CPU',
      note: withDetail('No hardware GPU can be used here, so the processor computes.', reason),
      software: false,
    };
  }
  const { vendor, architecture, description } = device.adapterInfo;
  const name = description === '' ? `${vendor} ${architecture}`.trim() : description;
  const software = /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${name} ${architecture}`);
  return {
    device,
    name: name === '' ? 'GPU' : `GPU (${name})`,
    note: software ? 'A GPU imitated in software: right, but slower than the CPU.' : '',
    software,
  };
}
