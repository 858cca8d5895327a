import { requestDevice, type Device } from 'webgpu-conv-transpose2d';
import type { DeviceChoice } from './url-state.ts';

export interface OpenDevice {
  readonly device: Device;
  readonly name: string;
  /** What a visitor should know about it; empty where there is nothing to say. */
  readonly note: string;
}

/** Opens the device that the visitor chose; left to 'auto', the best there is. */
export async function openDevice(choice: DeviceChoice): Promise<OpenDevice> {
  if (choice === 'cpu') return { device: 'cpu', name: 'CPU', note: 'The processor, as chosen.' };
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
      note: `No hardware GPU can be used here, so the processor computes. ${reason}`.trim(),
    };
  }
  const { vendor, architecture, description } = device.adapterInfo;
  const name = description === '' ? `${vendor} ${architecture}`.trim() : description;
  const software = /swiftshader|llvmpipe|lavapipe|basic render/i.test(`${name} ${architecture}`);
  return {
    device,
    name: name === '' ? 'GPU' : `GPU (${name})`,
    note: software ? 'A GPU imitated in software: right, but slower than the CPU.' : '',
  };
}
