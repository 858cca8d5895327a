/** The Explore view as a visitor uses it: the numbers that it tells, compared with the reference. */
import { describe, expect, test } from 'vitest';
import { convTranspose2dReference } from 'webgpu-conv-transpose2d/reference';
import { settle, outputSize, type Layer, type Parameter } from '../../demo/src/explore/layer.ts';
import { fill, type Filling, type Numbers } from '../../demo/src/explore/numbers.ts';
import { DEFAULT_LAYER } from '../../demo/src/explore/state.ts';
import { expectAccessible, expectFits, expectResponsive, LOOKS, type VisitOptions } from './site.ts';
import { drawn, page, text, visit } from './visit.ts';

async function open(search = '', options: VisitOptions = {}): Promise<void> {
  await visit(`?view=explore${search}`, options);
  await settled();
}

/** Waits until the page, which may have been loaded anew, shows what it was told last. */
async function settled(): Promise<void> {
  await page.waitForFunction(
    () => (document.querySelector('#view[aria-busy=false] .step-count')?.textContent ?? '') !== '',
  );
  await drawn();
}

const parse = (shown: string): number => Number(shown.replace('−', '-'));

/** The output as the page's table tells it. */
async function shownOutput(): Promise<number[]> {
  await page.evaluate(() => {
    document.querySelector<HTMLDetailsElement>('details.numbers')!.open = true;
  });
  await page.waitForSelector('details.numbers tbody td');
  await settled();
  const cells = await page.$$eval('details.numbers tbody td', (found) => found.map((cell) => cell.textContent));
  return cells.map(parse);
}

/** The sum that the page tells of one output: its text, its products and its table. */
async function shownSum(): Promise<number> {
  const rows = await page.$$eval('.terms tbody tr:not(.sum)', (found) =>
    found.map((row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent)),
  );
  const products = rows.map(([, weight = '', , pixel = '', product = '']) => {
    expect(parse(weight) * parse(pixel) + 0).toBe(parse(product) + 0);
    return parse(product);
  });
  const sum = parse(await text('.terms .sum td'));
  expect(products.reduce((total, product) => total + product, 0)).toBe(sum);
  return sum;
}

function expected(layer: Layer, { input, kernel }: Numbers = fill(layer, 'counting')): number[] {
  const { stride, padding, outputPadding, dilation } = layer;
  return [
    ...convTranspose2dReference(
      { shape: [1, ...layer.input], data: input },
      { shape: [1, 1, ...layer.kernel], data: kernel },
      null,
      { stride, padding, outputPadding, dilation },
    ).data,
  ].map((value) => value + 0);
}

const press = async (label: string): Promise<void> => {
  await page.click(`[aria-label="${label}"]`);
  await settled();
};

describe('the output on the page is the reference’s', () => {
  test.each<[string, Partial<Record<Parameter, Layer[Parameter]>>, Filling]>([
    ['', {}, 'counting'],
    ['&kernel=4&outputPadding=0&numbers=mixed', { kernel: [4, 4], outputPadding: [0, 0] }, 'mixed'],
    [
      '&input=2x5&kernel=3x2&stride=1x3&padding=0&outputPadding=0x2',
      { input: [2, 5], kernel: [3, 2], stride: [1, 3], padding: [0, 0], outputPadding: [0, 2] },
      'counting',
    ],
    ['&dilation=3&stride=2&outputPadding=2&numbers=ones', { dilation: [3, 3], outputPadding: [2, 2] }, 'ones'],
    [
      '&input=6&kernel=5&stride=4&padding=0&dilation=3&outputPadding=3',
      { input: [6, 6], kernel: [5, 5], stride: [4, 4], padding: [0, 0], dilation: [3, 3], outputPadding: [3, 3] },
      'counting',
    ],
  ])('for %s', async (search, changes, filling) => {
    const layer = { ...DEFAULT_LAYER, ...changes };
    expect(settle(layer).layer).toEqual(layer);
    await open(search);
    expect(await shownOutput()).toEqual(expected(layer, fill(layer, filling)));
    const [height, width] = outputSize(layer);
    expect(await text('.formula-height')).toMatch(new RegExp(` = ${height}$`));
    expect(await text('.formula-width')).toMatch(new RegExp(` = ${width}$`));
    expect(await text('details.numbers caption')).toContain(`Output, ${height} × ${width}: `);
  });
});

test('steppers change the layer, the address and the code', async () => {
  await open();
  await press('More: Stride');
  await press('More: Kernel');
  await press('Less: Output padding');
  await page.click('input[name=apart]');
  await press('Less: Input, width');
  const layer: Layer = { ...DEFAULT_LAYER, input: [3, 2], kernel: [4, 4], stride: [3, 3], outputPadding: [0, 0] };
  expect(await shownOutput()).toEqual(expected(layer));
  await page.waitForFunction(() => location.search.includes('input=3x2'));
  expect(Object.fromEntries(new URL(page.url()).searchParams)).toEqual({
    view: 'explore',
    input: '3x2',
    kernel: '4',
    stride: '3',
    outputPadding: '0',
  });
  expect(await text('.code-text')).toContain('{\n  stride: 3, padding: 1,\n}');
  await page.click('input[name=library][value=tensorflow]');
  await settled();
  expect(await text('.code-text')).toContain('output_shape=[1, 8, 5, 1]');
  await page.waitForFunction(() => location.search.includes('library=tensorflow'));
  // The link shows the same again.
  await page.reload();
  await settled();
  expect(await shownOutput()).toEqual(expected(layer));
  expect(await text('.code-text')).toContain('output_shape=[1, 8, 5, 1]');
});

test('own numbers begin as what is shown, and are followed as they are typed', async () => {
  await open('&numbers=mixed');
  await page.click('input[name=numbers][value=own]');
  await settled();
  const begun = fill(DEFAULT_LAYER, 'mixed');
  expect(await shownOutput()).toEqual(expected(DEFAULT_LAYER, begun));
  await page.click('[name=own-kernel]', { clickCount: 3 });
  await page.keyboard.type('0 0 0, 0 -7 0, 0 0 x');
  await settled();
  const typed = { input: begun.input, kernel: [0, 0, 0, 0, -7, 0, 0, 0, 0] };
  expect(await shownOutput()).toEqual(expected(DEFAULT_LAYER, typed));
  await page.waitForFunction(() => location.search.includes('w=0_0_0_0_-7_0_0_0_0'));
  await page.reload();
  await settled();
  expect(await shownOutput()).toEqual(expected(DEFAULT_LAYER, typed));
});

test('a number that cannot be is brought to one that can, in words', async () => {
  await open();
  await press('Less: Stride');
  expect(await text('.changes')).toContain('Output padding is now 0');
  expect(await shownOutput()).toEqual(expected({ ...DEFAULT_LAYER, stride: [1, 1], outputPadding: [0, 0] }));
  await page.click('#padding-height', { clickCount: 3 });
  await page.keyboard.type('40');
  await page.keyboard.press('Tab');
  await settled();
  expect(await text('.changes')).toContain('Padding is now 2');
  expect(await shownOutput()).toEqual(
    expected({ ...DEFAULT_LAYER, stride: [1, 1], outputPadding: [0, 0], padding: [2, 2] }),
  );
});

test('pointing at an output tells its taps and its phase', async () => {
  await open('&way=collect');
  const values = expected(DEFAULT_LAYER);
  const canvas = (await page.$('.grid-made canvas'))!;
  const { x, y, width } = (await canvas.boundingBox())!;
  const cell = (width - 2) / 6;
  for (const [row, column] of [
    [0, 0],
    [1, 3],
    [2, 2],
    [5, 5],
  ] as const) {
    await page.mouse.move(x + (column + 0.5) * cell, y + (row + 0.5) * cell);
    await settled();
    expect(await text('#one-title')).toBe(`Output (${row}, ${column}), in numbers`);
    expect(await text('.one-phase')).toContain(`is (${(row + 1) % 2}, ${(column + 1) % 2})`);
    expect(await shownSum()).toBe(values[row * 6 + column]);
  }
});

test.each(['spread', 'collect', 'zeros'])(
  'with the keyboard alone, seen as %s, every output can be reached',
  async (way) => {
    await open(`&way=${way}&input=2&kernel=2&padding=0&outputPadding=0&output=0x0`);
    const values = expected({
      ...DEFAULT_LAYER,
      input: [2, 2],
      kernel: [2, 2],
      padding: [0, 0],
      outputPadding: [0, 0],
    });
    await page.focus('.grid-made');
    for (let row = 0; row < 4; row++) {
      for (let column = 0; column < 4; column++) {
        expect(await text('#one-title')).toBe(`Output (${row}, ${column}), in numbers`);
        expect(await shownSum()).toBe(values[row * 4 + column]);
        if (column < 3) await page.keyboard.press('ArrowRight');
        await settled();
      }
      expect(await text('.one-told')).toContain(`Output row ${row}, column 3: ${values[row * 4 + 3]}.`);
      for (const key of ['ArrowDown', 'ArrowLeft', 'ArrowLeft', 'ArrowLeft'] as const) await page.keyboard.press(key);
      await settled();
    }
  },
);

test('steps can be made, scrubbed and played to the end', async () => {
  await open('&step=0');
  expect(await text('.step-count')).toBe('1 / 11');
  await press('Step forward');
  expect(await text('.sentence')).toContain('Input (0, 0) multiplies the kernel');
  await press('Step back');
  expect(await text('.step-count')).toBe('1 / 11');
  await page.focus('.scrub');
  await page.keyboard.press('End');
  await settled();
  expect(await text('.sentence')).toContain('Padding crops 1 off every side, and output padding keeps 1 more');
  await page.keyboard.press('ArrowLeft');
  await settled();
  expect(await text('.step-count')).toBe('10 / 11');
  await page.click('.play');
  expect(await text('.play')).toBe('Pause');
  await page.waitForFunction(() => document.querySelector('.step-count')!.textContent === '11 / 11');
  await page.waitForFunction(() => document.querySelector('.play')!.textContent === 'Play');
  await page.waitForFunction(() => location.search.includes('step=10'));
});

test('zeros between: the story names what is inserted, padded and turned', async () => {
  await open('&way=zeros&step=0');
  const sentences: string[] = [];
  for (let step = 0; step < 5; step++) {
    sentences.push(await text('.sentence'));
    await press('Step forward');
  }
  expect(sentences[1]).toContain('stride − 1 zeros: 1');
  expect(sentences[2]).toContain('2 − 1: zeros, 1 at the top and left, 2 at the bottom and right');
  expect(sentences[3]).toContain('turned by 180°');
  expect(sentences[4]).toContain('output (0, 0)');
  expect(await text('.stretched-size')).toBe('8 × 8');
});

test('what a framework cannot say is told', async () => {
  await open('&dilation=2&library=tensorflow');
  expect(await text('.code-note')).toContain('TensorFlow cannot say this: it has no dilation together with a stride');
  expect(await page.$eval('.code pre', (element) => (element as HTMLElement).hidden)).toBe(true);
});

test('nothing blocks the page, with the largest layer', async () => {
  await open('&input=6&kernel=5&stride=4&padding=0&dilation=3&outputPadding=3&way=zeros');
  await expectResponsive(page, async () => {
    for (let step = 0; step < 5; step++) await press('Step forward');
    await press('Less: Input');
    await page.click('input[name=way][value=collect]');
    await settled();
  });
});

test('coming from another view does not block the page', async () => {
  await visit('?view=diagnose&device=cpu');
  await page.waitForSelector('h1');
  await expectResponsive(page, async () => {
    await page.click('.views li:nth-child(2) a');
    await page.waitForSelector('.view.explore h1');
    await settled();
  });
});

describe.each(LOOKS)('at %i pixels, %s', (width, scheme) => {
  test.each(['spread', 'collect', 'zeros'])('seen as %s', async (way) => {
    await open(`&way=${way}`, { width, scheme });
    await expectFits(page, `explore-${way}-${width}-${scheme}`);
    await expectAccessible(page);
  });

  test('the largest layer', async () => {
    await open('&input=6&kernel=5&stride=4&padding=0&dilation=3&outputPadding=3&way=zeros', { width, scheme });
    await expectFits(page, `explore-largest-${width}-${scheme}`);
  });
});
