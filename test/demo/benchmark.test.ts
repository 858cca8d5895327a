/** The benchmark as a visitor uses it; what it measures and hands out is compared with the layers and the reference. */
import { readFile } from 'node:fs/promises';
import { beforeAll, describe, expect, test } from 'vitest';
import { convTranspose2dReference } from 'webgpu-conv-transpose2d/reference';
import { makeProblem, usefulFlops, type Layer } from '../../bench/layer.ts';
import { checkSamples, outputAt } from '../../demo/src/benchmark/check.ts';
import { describeLayer, LAYERS, select } from '../../demo/src/benchmark/layers.ts';
import { speedup, type Row } from '../../demo/src/benchmark/rows.ts';
import { boundsOf } from '../support/tolerance.ts';
import { expectAccessible, expectFits, expectResponsive, LOOKS, pretendHardware, type VisitOptions } from './site.ts';
import { figure, page, site, text, visit } from './visit.ts';

const SMALL: readonly Layer[] = [
  ...select('few').map((layer): Layer => ({ ...layer, input: [1, layer.input[1], 5, 6] })),
  ...LAYERS.filter(({ name }) => /vae|dilated|hifigan|batch8/.test(name)).map((layer): Layer => ({
    ...layer,
    input: [layer.input[0], layer.input[1], layer.input[2] === 1 ? 1 : 4, 5],
  })),
];

describe.each(SMALL.map((layer) => [layer.name, layer] as const))('the check of %s', (_, layer) => {
  const problem = makeProblem(layer);
  const given = {
    input: { shape: layer.input, data: problem.input },
    weight: { shape: problem.weightShape, data: problem.weight },
    options: { ...layer },
  };
  const { stride, padding, outputPadding, groups, dilation } = layer;
  const options = { stride, padding, outputPadding, groups, dilation };
  const { data, shape } = convTranspose2dReference(given.input, given.weight, null, options);

  test('computes every output as the reference does', () => {
    expect(shape).toEqual(problem.outputShape);
    const bounds = boundsOf({ ...given, options });
    data.forEach((value, i) => {
      const one = outputAt(problem, i);
      // Both add the same products in float64, in another order.
      expect(Math.abs(one.value - value)).toBeLessThanOrEqual(1e-12);
      expect(one.bound).toBeLessThanOrEqual(bounds[i]! * (1 + 1e-9));
    });
  });

  test('lets a right result pass and finds a wrong one', () => {
    const result = Float32Array.from(data);
    expect(checkSamples(problem, { shape, data: result }).right).toBe(true);
    expect(checkSamples(problem, { shape, data: result.map((value) => value + 1e-3) })).toMatchObject({ right: false });
    expect(checkSamples(problem, { shape, data: result.fill(NaN) })).toMatchObject({ right: false });
    expect(checkSamples(problem, { shape: [1, ...shape], data: result })).toMatchObject({ right: false });
  });
});

test('a layer is told in words', () => {
  const wordsOf = (wanted: string): string => describeLayer(LAYERS.find(({ name }) => name === wanted)!);
  // Lines break after a comma only.
  expect(wordsOf('batch8').split(/, /)).toEqual(
    ['8 at a time', '64 channels of 16 × 16 → 32', 'kernel 4 × 4', 'stride 2'].map((part) =>
      part.replaceAll(' ', '\u00a0'),
    ),
  );
  expect(wordsOf('dilated').replaceAll('\u00a0', ' ')).toContain('stride 1, dilation 2');
  expect(wordsOf('hifigan-x8').replaceAll('\u00a0', ' ')).toContain('stride 1 × 8');
});

test('the mean is over the layers that ran on both', () => {
  const row = (layer: string, device: 'gpu' | 'cpu', medianMs: number): Row => ({
    layer,
    device,
    adapter: device,
    measured: { medianMs, minMs: 0, maxMs: 0, gflops: 0, samples: 1, repeats: 1, largest: 0, right: true },
  });
  expect(speedup([row('a', 'gpu', 1), row('b', 'cpu', 1)])).toBeUndefined();
  const rows = [row('a', 'gpu', 1), row('a', 'cpu', 2), row('b', 'gpu', 1), row('b', 'cpu', 8), row('c', 'cpu', 5)];
  expect(speedup(rows)).toBeCloseTo(4);
});

describe('the page', () => {
  beforeAll(async () => {
    await site.browser.defaultBrowserContext().setPermission(
      new URL(site.address).origin,
      ...(['clipboard-read', 'clipboard-write'] as const).map((name) => ({
        permission: { name },
        state: 'granted' as const,
      })),
    );
  });

  async function open(search: string, options?: VisitOptions): Promise<void> {
    await visit(`?view=benchmark${search}`, options);
    await page.waitForFunction(() => !['', '…'].includes(document.querySelector('#adapter')?.textContent ?? ''));
  }

  const said = (start: string): Promise<unknown> =>
    page.waitForFunction((start) => document.querySelector('.status')!.textContent.startsWith(start), {}, start);

  async function measure(): Promise<void> {
    await page.click('.start');
    await said('Done');
  }

  interface HandedOut {
    readonly library: string;
    readonly rows: (Layer & { device: string; adapter: string; medianMs: number; gflops: number; right: boolean })[];
  }

  /** What is shown must be what is handed out, and right. */
  function expectRows(json: string, layers: readonly Layer[], devices: readonly string[]): HandedOut {
    const handed = JSON.parse(json) as HandedOut;
    expect(handed.rows.map(({ name, device }) => `${name} ${device}`)).toEqual(
      layers.flatMap(({ name }) => devices.map((device) => `${name} ${device}`)),
    );
    for (const row of handed.rows) {
      const layer = layers.find(({ name }) => name === row.name)!;
      expect(row).toMatchObject({ ...layer, right: true });
      expect(row.medianMs).toBeGreaterThan(0);
      expect(row.gflops).toBeCloseTo(usefulFlops(layer) / row.medianMs / 1e6, 6);
    }
    return handed;
  }

  test('the four small layers run on the GPU that was asked for, and the rows can be copied', async () => {
    await open('&device=webgpu&layers=few');
    await measure();
    expect(await text('#right')).toBe('4 of 4');
    await page.click('.copy');
    await page.waitForFunction(() => document.querySelector('#hand-out-note')!.textContent === 'Copied: 4 rows.');
    await page.bringToFront();
    const { library, rows } = expectRows(await page.evaluate(() => navigator.clipboard.readText()), select('few'), [
      'gpu',
    ]);
    const { version } = JSON.parse(await readFile('package.json', 'utf8')) as { version: string };
    expect(library).toBe(`webgpu-conv-transpose2d ${version}`);
    for (const { name, adapter, medianMs } of rows) {
      expect(adapter).toBe(await text('#adapter'));
      const shown = await page.$eval(
        `[data-layer=${name}] [data-device=gpu] .time`,
        (element) => (element as HTMLDataElement).value,
      );
      expect(Number(shown)).toBe(medianMs);
    }
  });

  test('all layers run on the CPU where there is no hardware GPU, and the rows can be downloaded', async () => {
    await open('');
    expect(await text('#adapter')).toBe('None');
    expect(await text('#adapter-note')).toContain('No hardware GPU can be used here');
    await measure();
    const json = await page.evaluate(async () => {
      const saved = new Promise<Blob>((resolve) => {
        const original = URL.createObjectURL.bind(URL);
        URL.createObjectURL = (blob: Blob) => {
          resolve(blob);
          return original(blob);
        };
      });
      document.querySelector<HTMLButtonElement>('.download')!.click();
      return (await saved).text();
    });
    expect(LAYERS).toHaveLength(16);
    expectRows(json, LAYERS, ['cpu']);
    const longest = await page.$$eval(
      '.bar',
      (bars) => bars.filter((bar) => (bar as HTMLElement).style.getPropertyValue('--part') === '1').length,
    );
    expect(longest).toBe(1);
  });

  test('with a hardware GPU both are measured, and compared', async () => {
    await open('&layers=few', { prepare: pretendHardware });
    await measure();
    expect(await text('#right')).toBe('8 of 8');
    const times = await page.$$eval('[data-layer]', (rows) =>
      rows.map((row) => [...row.querySelectorAll<HTMLDataElement>('.time')].map(({ value }) => Number(value))),
    );
    const ratios = times.map(([gpu, cpu]) => cpu! / gpu!);
    const mean = Math.exp(ratios.reduce((sum, ratio) => sum + Math.log(ratio), 0) / ratios.length);
    expect(await page.$eval('#speedup', (element) => Number((element as HTMLDataElement).value))).toBeCloseTo(mean, 6);
    expect(await text('#speedup')).toMatch(/^(GPU|CPU) [\d.]+ times as fast$/);
    await expectFits(page, 'benchmark-both');
  });

  test('a measurement can be cancelled, and another begun', async () => {
    await open('&device=cpu');
    await page.click('.start');
    await page.waitForFunction(() => document.querySelector('.time[value]'));
    await page.click('.cancel');
    await said('Cancelled');
    const rows = await page.$$eval('.time[value]', (times) => times.length);
    expect(rows).toBeGreaterThan(0);
    expect(rows).toBeLessThan(16);
    await page.click('input[name=layers][value=few]');
    expect(new URL(page.url()).search).toBe('?view=benchmark&device=cpu&layers=few');
    await measure();
    expect(await text('#right')).toBe('4 of 4');
  });

  test('with the keyboard alone: the focus goes to Cancel, and back', async () => {
    await open('&device=cpu&layers=few');
    const focused = (): Promise<string> => page.evaluate(() => document.activeElement!.className);
    await page.focus('.start');
    await page.keyboard.press('Enter');
    await page.waitForSelector('.progress:not([hidden])');
    expect(await focused()).toBe('cancel');
    await page.keyboard.press('Enter');
    await said('Cancelled');
    expect(await focused()).toBe('start primary');
    await measure();
  });

  test('says how many threads it may take, and hands that out', async () => {
    await open('&device=cpu&layers=few');
    const cores = await page.evaluate(() => (crossOriginIsolated ? navigator.hardwareConcurrency : NaN));
    expect(await figure('#threads')).toBe(Math.min(8, cores));
    expect(await text('#threads')).toMatch(cores === 1 ? '1 thread' : /^Up to \d threads$/);
  });

  test.each([320, 360, 1280])(
    'at %i pixels each result is as high as the others, and within the table',
    async (width) => {
      await open('&device=cpu&layers=few', { width });
      const boxes = await page.$$eval('.line', (lines) =>
        lines.map((line, i) => {
          line.querySelector('.time')!.textContent = '1.23 s';
          line.querySelector('.rate')!.textContent = i === 0 ? '0.18 billion a second' : '12 billion a second';
          const { height, right } = line.getBoundingClientRect();
          return { height, beyond: right - line.closest('.results')!.getBoundingClientRect().right };
        }),
      );
      expect(boxes.map(({ beyond }) => beyond)).toEqual([0, 0, 0, 0]);
      expect(new Set(boxes.map(({ height }) => Math.round(height))).size).toBe(1);
    },
  );

  test('another choice in the middle ends the measurement and shows what would run now', async () => {
    await open('&device=cpu');
    await page.click('.start');
    await page.waitForFunction(() => document.querySelector('.time[value]'));
    await page.click('input[name=layers][value=few]');
    await page.waitForFunction(() => document.querySelectorAll('[data-layer]').length === 4);
    await measure();
    expect(await text('#right')).toBe('4 of 4');
  });

  test('a GPU that is lost is told, and the measurement goes on', async () => {
    await open('&device=webgpu&layers=few', {
      prepare: (fresh) =>
        fresh.evaluateOnNewDocument(() => {
          const requestAdapter = navigator.gpu.requestAdapter.bind(navigator.gpu);
          navigator.gpu.requestAdapter = async (options) => {
            const adapter = (await requestAdapter(options))!;
            const requestDevice = adapter.requestDevice.bind(adapter);
            adapter.requestDevice = async (descriptor) => {
              const device = await requestDevice(descriptor);
              window.addEventListener('take-gpu', () => {
                device.destroy();
              });
              return device;
            };
            return adapter;
          };
        }),
    });
    await page.click('.start');
    await page.waitForFunction(() => document.querySelector('.time[value]'));
    await page.evaluate(() => window.dispatchEvent(new Event('take-gpu')));
    await said('Done');
    expect(await text('#problem p')).toContain('The GPU was taken away');
    expect(await text('#right')).toBe('4 of 4');
  });

  test.each(['cpu', 'webgpu'])('the page answers all the time while it measures on %s', async (device) => {
    await open(`&device=${device}`);
    await expectResponsive(page, measure);
  });

  test.each(LOOKS)('at %i pixels, %s, everything fits and can be used by everyone', async (width, scheme) => {
    await open('&device=cpu&layers=few', { width, scheme });
    await measure();
    await expectFits(page, `benchmark-${width}-${scheme}`);
    await expectAccessible(page);
  });
});
