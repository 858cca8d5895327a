import { expect, test } from 'vitest';
import { readUrlState, writeUrlState } from '../../demo/src/url-state.ts';

test('an address is read, and what it says wrongly is left at its default', () => {
  expect(readUrlState('')).toEqual({ device: 'auto', scale: 3 });
  expect(readUrlState('?device=cpu&scale=4')).toEqual({ device: 'cpu', scale: 4 });
  expect(readUrlState('?device=toaster&scale=5')).toEqual({ device: 'auto', scale: 3 });
});

test('a state is written without its defaults, beside what else is there', () => {
  expect(writeUrlState('', { device: 'auto', scale: 3 })).toBe('');
  expect(writeUrlState('?x=1&scale=2', { device: 'webgpu', scale: 4 })).toBe('?x=1&scale=4&device=webgpu');
  expect(readUrlState(writeUrlState('', { device: 'webgpu', scale: 2 }))).toEqual({ device: 'webgpu', scale: 2 });
});
