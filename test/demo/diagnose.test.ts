/** The Diagnose view as a visitor uses it: its figures and its pictures, compared with the reference. */
import type { Page } from 'puppeteer';
import { describe, expect, test } from 'vitest';
import { convTranspose2dReference } from 'webgpu-conv-transpose2d/reference';
import { WINDOW } from '../../demo/src/diagnose/flat.ts';
import { phasesOf, ripple, type Pattern } from '../../demo/src/diagnose/phases.ts';
import { greyOf, shadeOf } from '../../demo/src/diagnose/shades.ts';
import { DEFAULT_PATTERN } from '../../demo/src/diagnose/state.ts';
import { drawWeights, type Beginning } from '../../demo/src/diagnose/weights.ts';
import { expectAccessible, expectFits, expectResponsive, LOOKS, takableGpu, type VisitOptions } from './site.ts';
import { drawn, figure, isShown, page, text, visit } from './visit.ts';

async function open(search: string, options: VisitOptions = {}): Promise<void> {
  await visit(`?view=diagnose${search}`, options);
  await settled();
}

/** Waits until the layer has computed and all is drawn. While the view is opened anew, the one that was left is still there. */
async function settled(): Promise<void> {
  await page.waitForSelector('#view[aria-busy=false] .diagnose .stage[aria-busy=false]');
  await drawn();
}

/** Outputs over a flat input by the reference, a window of them that begins with phase (0, 0), away from the borders. */
function flatReference({ kernel, stride, dilation }: Pattern, weights: readonly number[]): number[] {
  const inputs = 70;
  const { data, shape } = convTranspose2dReference(
    { shape: [1, inputs, inputs], data: new Float64Array(inputs * inputs).fill(1) },
    { shape: [1, 1, ...kernel], data: weights },
    null,
    { stride, dilation },
  );
  const [top, left] = [30 * stride[0], 30 * stride[1]];
  return Array.from(
    { length: WINDOW * WINDOW },
    (_, at) => data[(top + Math.floor(at / WINDOW)) * shape[2]! + left + (at % WINDOW)]!,
  );
}

/** The picture's shades of grey as they are painted. */
const paintedGreys = (): Promise<number[]> =>
  page.$eval('canvas.shades', (element) => {
    const canvas = element;
    const { data } = canvas.getContext('2d')!.getImageData(0, 0, canvas.width, canvas.height);
    return [...data].filter((_, at) => at % 4 === 0);
  });

async function expectShown(pattern: Pattern, beginning: Beginning, seed = 1): Promise<void> {
  const weights = await drawWeights(pattern, beginning, seed);
  const phases = phasesOf(pattern, weights);
  const flat = flatReference(pattern, weights);
  const shade = shadeOf(phases);
  const greys = await paintedGreys();
  expect(greys).toHaveLength(flat.length);
  // A grey is rounded, so that the last bits of a sum may tip it by one.
  greys.forEach((grey, at) => {
    expect(Math.abs(grey - greyOf(shade(flat[at]!)))).toBeLessThanOrEqual(1);
  });
  const sums = await page.$$eval('.phases tbody td:nth-child(3)', (cells) => cells.map((cell) => cell.textContent));
  const [height, width] = pattern.stride;
  sums.forEach((sum, at) => {
    const expected = flat[Math.floor(at / width) * WINDOW + (at % width)]!;
    expect(Math.abs(Number(sum.replace('−', '-')) - expected)).toBeLessThanOrEqual(0.0005 + 1e-9);
  });
  expect(sums).toHaveLength(height * width);
  expect(await figure('.value.ripple')).toBe(ripple(phases));
  const period = flat.filter((_, at) => Math.floor(at / WINDOW) < height && at % WINDOW < width);
  const size = period.reduce((sum, value) => sum + Math.abs(value), 0) / period.length;
  expect(ripple(phases)).toBeCloseTo((100 * (Math.max(...period) - Math.min(...period))) / size, 3);
}

describe.each(['cpu', 'webgpu'])('on ?device=%s the picture and the sums are the reference’s', (device) => {
  test.each<[string, Partial<Pattern>, Beginning]>([
    ['', {}, 'ones'],
    ['&kernel=4&weights=random', { kernel: [4, 4] }, 'random'],
    ['&kernel=4&weights=icnr', { kernel: [4, 4] }, 'icnr'],
    ['&kernel=5&stride=3&weights=bilinear', { kernel: [5, 5], stride: [3, 3] }, 'bilinear'],
    ['&kernel=2x7&stride=4x3&dilation=1x2&weights=icnr', { kernel: [2, 7], stride: [4, 3], dilation: [1, 2] }, 'icnr'],
    ['&kernel=3&stride=2&dilation=2', { dilation: [2, 2] }, 'ones'],
    ['&kernel=1&stride=4&weights=random', { kernel: [1, 1], stride: [4, 4] }, 'random'],
  ])('for %s', async (search, changes, beginning) => {
    await open(`&device=${device}${search}`);
    expect(await text('.made-by')).toMatch(device === 'cpu' ? /the CPU$/ : /the GPU/);
    await expectShown({ ...DEFAULT_PATTERN, ...changes }, beginning);
  });
});

test('the textbook case is told in plain words, and what avoids it is one press away', async () => {
  await open('&device=cpu');
  expect(await text('.verdict')).toBe(
    'A checkerboard: the lightest outputs are 4 times the darkest. Some outputs get more weights than others.',
  );
  expect(await text('.value.ripple')).toBe('133 %');
  await page.click('.advice button');
  await page.waitForFunction(() => document.querySelector('.verdict')!.textContent.startsWith('No checkerboard'));
  await settled();
  expect(new URL(page.url()).search).toBe('?view=diagnose&device=cpu&kernel=4');
  await expectShown({ ...DEFAULT_PATTERN, kernel: [4, 4] }, 'ones');
  expect(await text('.advice-text')).toContain('This layer’s shape is even');
});

test('weights to begin with are compared, chosen and drawn again', async () => {
  await open('&device=cpu&kernel=4');
  const even: Pattern = { ...DEFAULT_PATTERN, kernel: [4, 4] };
  for (const beginning of ['ones', 'random', 'icnr', 'bilinear'] as const) {
    const expected = ripple(phasesOf(even, await drawWeights(even, beginning, 1)));
    expect(await figure(`.ripple-${beginning}`)).toBe(expected);
    expect(expected === 0).toBe(beginning !== 'random');
  }
  await page.click('input[name=weights][value=random]');
  await settled();
  await expectShown(even, 'random');
  await page.click('.again');
  await page.waitForFunction(() => location.search.endsWith('weights=random&seed=2'));
  await settled();
  await expectShown(even, 'random', 2);
  expect(await text('.code-text')).toContain('new ConvTranspose2d(inChannels, outChannels, 4, {\n  stride: 2,\n})');
});

test('steppers change the layer, per axis if asked', async () => {
  await open('&device=cpu');
  await page.click('[aria-label="More: Stride"]');
  await settled();
  await expectShown({ ...DEFAULT_PATTERN, stride: [3, 3] }, 'ones');
  await page.click('input[name=apart]');
  await page.click('[aria-label="Less: Stride, width"]');
  await page.waitForFunction(() => location.search.includes('stride=3x2'));
  await settled();
  await expectShown({ ...DEFAULT_PATTERN, stride: [3, 2] }, 'ones');
});

/** By how many of 255 levels two pictures of one size differ, on average. */
const difference = (one: string, other: string): Promise<number> =>
  page.evaluate(
    async (...urls) => {
      const [a, b] = (await Promise.all(
        urls.map(async (url) => {
          const bitmap = await createImageBitmap(await (await fetch(url)).blob());
          const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext('2d')!;
          context.drawImage(bitmap, 0, 0);
          return context.getImageData(0, 0, bitmap.width, bitmap.height).data;
        }),
      )) as [Uint8ClampedArray, Uint8ClampedArray];
      return a.reduce((sum, value, i) => sum + Math.abs(value - b[i]!), 0) / a.length;
    },
    one,
    other,
  );

test('the landscape is drawn, and turns with the keyboard and by dragging', async () => {
  await open('&device=cpu');
  const drawn = (): Promise<string> => {
    return page.$eval('.surface canvas', (canvas) => canvas.toDataURL());
  };
  const first = await drawn();
  await page.focus('.surface');
  await page.keyboard.press('ArrowLeft');
  await settled();
  expect(await difference(first, await drawn())).toBeGreaterThan(1);
  await page.keyboard.press('ArrowRight');
  await settled();
  // A browser may go over to another way of drawing between two pictures, which rounds edges otherwise: 0.003 levels.
  expect(await difference(first, await drawn())).toBeLessThan(0.1);
  const canvas = (await page.$('.surface canvas'))!;
  const { x, y, width, height } = (await canvas.boundingBox())!;
  await page.mouse.move(x + width / 2, y + height / 2);
  await page.mouse.down();
  await page.mouse.move(x + width / 2 + 60, y + height / 2 + 20, { steps: 4 });
  await page.mouse.up();
  await settled();
  expect(await difference(first, await drawn())).toBeGreaterThan(1);
});

test('nothing blocks the page', async () => {
  await open('&device=cpu&kernel=9&stride=4');
  await expectResponsive(page, async () => {
    await page.click('[aria-label="Less: Kernel"]');
    await settled();
    await page.click('input[name=weights][value=random]');
    await settled();
    await page.focus('.surface');
    for (let turn = 0; turn < 5; turn++) await page.keyboard.press('ArrowLeft');
    await settled();
  });
});

test('coming from another view does not block the page', async () => {
  await visit('?view=explore&device=cpu');
  await page.waitForSelector('h1');
  await expectResponsive(page, async () => {
    await page.click('.views li:nth-child(3) a');
    await page.waitForSelector('.view.diagnose h1');
    await settled();
  });
});

describe.each(LOOKS)('at %i pixels, %s', (width, scheme) => {
  test.each([
    ['textbook', ''],
    ['random', '&kernel=6&stride=3&weights=random'],
    ['even', '&kernel=4&weights=bilinear'],
  ])('%s', async (name, search) => {
    await open(`&device=cpu${search}`, { width, scheme });
    await expectFits(page, `diagnose-${name}-${width}-${scheme}`);
    await expectAccessible(page);
  });
});

test('a GPU that is taken away is told in plain words, and another try goes on', async () => {
  await open('&device=webgpu', { prepare: takableGpu });
  await page.evaluate(() => window.dispatchEvent(new Event('take-gpu')));
  await page.waitForFunction(() => !document.querySelector<HTMLElement>('#problem')!.hidden);
  expect(await text('#problem p')).toContain('The GPU was taken away');
  await page.click('[aria-label="More: Kernel"]');
  await settled();
  expect(await text('.made-by')).toMatch(/the GPU/);
  await expectShown({ ...DEFAULT_PATTERN, kernel: [4, 4] }, 'ones');
});

test('without WebGPU the CPU computes; asked for a GPU, the page says that there is none and still tells of the layer', async () => {
  const prepare = (fresh: Page): Promise<unknown> =>
    fresh.evaluateOnNewDocument(() => {
      Object.defineProperty(navigator, 'gpu', { value: undefined });
    });
  await open('', { prepare });
  expect(await text('.made-by')).toBe('the layer, on the CPU');
  await expectShown(DEFAULT_PATTERN, 'ones');
  await page.close();
  await visit('?view=diagnose&device=webgpu', { prepare });
  await page.waitForFunction(() => !document.querySelector<HTMLElement>('#problem')!.hidden);
  expect(await text('#problem p')).toContain('no GPU that it can use');
  expect(await text('.made-by')).toBe('this page');
  await settled();
  await expectShown(DEFAULT_PATTERN, 'ones');
  await page.click('#problem .on-cpu');
  await settled();
  expect(new URL(page.url()).search).toBe('?view=diagnose&device=cpu');
  expect(await text('.made-by')).toBe('the layer, on the CPU');
  expect(await isShown('#problem')).toBe(false);
});
