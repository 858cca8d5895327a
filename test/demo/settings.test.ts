import { expect, test } from 'vitest';
import { readSettings, writeSettings } from '../../demo/src/upsample/settings.ts';

const read = (search: string): unknown => readSettings(new URLSearchParams(search));

test('an address is read, and what it says wrongly is left at its default', () => {
  expect(read('')).toEqual({ device: 'auto', scale: 3, kernel: 'bicubic' });
  expect(read('?device=cpu&scale=4&kernel=lanczos')).toEqual({ device: 'cpu', scale: 4, kernel: 'lanczos' });
  expect(read('?device=toaster&scale=5&kernel=popcorn')).toEqual({ device: 'auto', scale: 3, kernel: 'bicubic' });
  expect(read('?scale=03.0')).toEqual({ device: 'auto', scale: 3, kernel: 'bicubic' });
});

test('settings are written without their defaults', () => {
  expect(writeSettings({ device: 'auto', scale: 3, kernel: 'bicubic' })).toEqual({
    device: null,
    scale: null,
    kernel: null,
  });
  expect(writeSettings({ device: 'webgpu', scale: 4, kernel: 'nearest' })).toEqual({
    device: 'webgpu',
    scale: '4',
    kernel: 'nearest',
  });
});
