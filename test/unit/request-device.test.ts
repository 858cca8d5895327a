// Asking for a device where the browser gives none, in all the ways that it can: the CPU with the reason, or UNSUPPORTED.
import { afterEach, describe, expect, test } from 'vitest';
import { ConvTranspose2dError, requestDevice } from '../../src/index.ts';

const navigatorOfNode = Object.getOwnPropertyDescriptor(globalThis, 'navigator');
afterEach(() => {
  if (navigatorOfNode === undefined) Reflect.deleteProperty(globalThis, 'navigator');
  else Object.defineProperty(globalThis, 'navigator', navigatorOfNode);
});

function withNavigator(value: unknown): void {
  Object.defineProperty(globalThis, 'navigator', { value, configurable: true });
}
const withAdapter = (adapter: unknown): void => {
  withNavigator({ gpu: { requestAdapter: () => Promise.resolve(adapter) } });
};
const hardware = { vendor: 'someone', architecture: '', device: '', description: '', isFallbackAdapter: false };
const fails = (): never => {
  throw new Error('the driver crashed');
};

const places: readonly [string, () => void, string][] = [
  [
    'no navigator',
    () => {
      withNavigator(undefined);
    },
    'there is no navigator.gpu: ',
  ],
  [
    'a navigator without WebGPU',
    () => {
      withNavigator({});
    },
    'there is no navigator.gpu: ',
  ],
  [
    'WebGPU switched off by null',
    () => {
      withNavigator({ gpu: null });
    },
    'there is no navigator.gpu: ',
  ],
  [
    'no adapter',
    () => {
      withAdapter(null);
    },
    'WebGPU has no adapter: ',
  ],
  [
    'adapters that cannot be asked for',
    () => {
      withNavigator({ gpu: { requestAdapter: fails } });
    },
    'WebGPU gave no device: Error: the driver crashed',
  ],
  [
    'a software adapter',
    () => {
      withAdapter({ info: { ...hardware, description: 'llvmpipe' } });
    },
    'the only WebGPU adapter is emulated in software (someone llvmpipe)',
  ],
  [
    'an adapter that gives no device',
    () => {
      withAdapter({ info: hardware, limits: {}, features: new Set(), requestDevice: fails });
    },
    'WebGPU gave no device: Error: the driver crashed',
  ],
];

describe.each(places)('%s', (_, arrange, reason) => {
  test('the CPU, and the reason', async () => {
    arrange();
    const reasons: string[] = [];
    expect(await requestDevice({ onFallback: (said) => reasons.push(said) })).toBe('cpu');
    expect(reasons).toEqual([expect.stringContaining(reason)]);
    expect(await requestDevice()).toBe('cpu');
  });

  test("UNSUPPORTED with fallback: 'throw'", async () => {
    arrange();
    const onFallback = (): never => {
      throw new Error('nothing fell back');
    };
    const error: unknown = await requestDevice({ fallback: 'throw', onFallback }).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(ConvTranspose2dError);
    expect(error).toMatchObject({ code: 'UNSUPPORTED', message: expect.stringContaining(reason) as string });
  });

  test('what onFallback throws comes out as it is, and it is told once', async () => {
    arrange();
    const reasons: string[] = [];
    const mine = new Error('mine');
    const onFallback = (said: string): void => {
      reasons.push(said);
      throw mine;
    };
    await expect(requestDevice({ onFallback })).rejects.toBe(mine);
    expect(reasons).toEqual([expect.stringContaining(reason)]);
  });

  test.each([
    [{ onFallback: 'console.warn' }, "onFallback is 'console.warn'; it must be a function, or left out"],
    [{ allowSoftware: 'no' }, "allowSoftware is 'no'; it must be true or false"],
    [{ allowSoftware: null }, 'allowSoftware is null; it must be true or false'],
    [{ powerPreference: 'fast' }, "powerPreference is 'fast'; it must be one of 'low-power', 'high-performance'"],
  ])('%j is refused', async (options, message) => {
    arrange();
    const asked = requestDevice(options as Parameters<typeof requestDevice>[0]);
    await expect(asked).rejects.toMatchObject({ code: 'INVALID_ARGUMENT', message });
  });
});
