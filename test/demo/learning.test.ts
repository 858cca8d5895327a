/** A kernel that learns from the visitor's picture, as a visitor has it do so, in headless Chromium. */
import { expect, test } from 'vitest';
import { randomPixels } from './pictures.ts';
import { expectAccessible, expectFits, expectResponsive, LOOKS, takableGpu } from './site.ts';
import { choose, live, open, settled } from './upsample-page.ts';
import { figure, isShown, page, text } from './visit.ts';

/** The words beside the button that say how it went. */
async function status(wanted: RegExp): Promise<void> {
  await page.waitForFunction(
    (source) => new RegExp(source).test(document.querySelector('.learn-status')!.textContent),
    {},
    wanted.source,
  );
}

async function learn(): Promise<void> {
  await page.click('.learn');
  await status(/^Learned in/);
  await settled();
}

/** Records what progress and curve say while something runs. */
async function watchProgress(): Promise<void> {
  await page.evaluate(() => {
    const seen: { part: number; points: number }[] = [];
    Object.assign(globalThis, { seen });
    new MutationObserver(() => {
      const { value } = document.querySelector<HTMLProgressElement>('.learning progress')!;
      const { points } = document.querySelector<SVGPolylineElement>('.curve polyline.from-held')!;
      if (seen[seen.length - 1]?.part !== value) seen.push({ part: value, points: points.numberOfItems });
    }).observe(document.querySelector('.learning')!, { attributes: true, subtree: true });
  });
}

const seen = (): Promise<{ part: number; points: number }[]> =>
  page.evaluate(() => (globalThis as unknown as { seen: { part: number; points: number }[] }).seen);

test.each([
  ['cpu', 2],
  ['cpu', 3],
  ['webgpu', 3],
] as const)('on %s a kernel for %i times learns, and beats bilinear on patches held back', async (device, scale) => {
  await open(`?device=${device}&scale=${scale}`);
  await page.click('input[name=kernel][value=learned]');
  await settled();
  expect(new URL(page.url()).searchParams.get('kernel')).toBe('learned');
  expect(await text('.learn-note')).toContain('starts as bilinear');
  await watchProgress();
  await learn();
  expect(await text('.learn-status')).toContain(device === 'cpu' ? 'on the CPU' : 'on the GPU');
  const steps = await seen();
  expect(steps.length).toBeGreaterThan(10);
  for (const [i, { part, points }] of steps.slice(1).entries()) {
    expect(part).toBeGreaterThan(steps[i]!.part);
    expect(points).toBeGreaterThan(steps[i]!.points);
  }
  expect(await figure('#gain')).toBeGreaterThanOrEqual(0.5);
  expect(await figure('#gain')).toBeCloseTo(
    (await figure('#learned-quality')) - (await figure('#bilinear-quality')),
    9,
  );
  expect(await text('.tag-before')).toBe('Bilinear');
  expect(await text('.tag-after')).toBe('Learned');
});

test('learning can be cancelled in the middle, and the kernel is as it was before', async () => {
  await open('?device=webgpu&kernel=learned');
  await page.click('.learn');
  await page.waitForFunction(() => document.querySelector<HTMLProgressElement>('.learning progress')!.value > 0.2);
  await expectFits(page, 'upsample-learning');
  await expectAccessible(page);
  await page.click('.cancel-learning');
  await status(/^Cancelled after \d+ of 100 steps/);
  expect(await isShown('.learn')).toBe(true);
  expect(await isShown('.curve')).toBe(false);
  expect(await isShown('.gains')).toBe(false);
  expect(await text('.tag-before')).toBe('Before');
});

test('nothing is learned by surprise: a kernel is of its scale and picture until the button is pressed', async () => {
  await open('?device=cpu&kernel=learned');
  await learn();
  const gain = await text('#gain');
  expect(await text('#difference-note')).toContain('Rounding to 32 bits explains');
  expect(await text('.learn')).toBe('Learn again');
  await page.click('input[name=scale][value="2"]');
  await settled();
  expect(await text('.learn')).toBe('Learn from this picture');
  expect(await isShown('.gains')).toBe(false);
  expect(await text('.tag-after')).toBe('After');
  await page.click('input[name=scale][value="3"]');
  await settled();
  expect(await text('#gain')).toBe(gain);
  expect(await isShown('.curve')).toBe(true);
  await choose(randomPixels(100, 120, 1), 'other.png');
  expect(await text('.learn')).toBe('Learn from this picture');
  expect(await text('.learn-note')).toContain('another picture (harbour)');
  expect(await text('.tag-after')).toBe('Learned');
  await page.click('input[name=kernel][value=bicubic]');
  await settled();
  expect(await isShown('.learning')).toBe(false);
  expect(await text('.tag-before')).toBe('Before');
});

test('another choice in the middle ends learning', async () => {
  await open('?device=webgpu&kernel=learned&scale=2');
  await page.click('.learn');
  await page.waitForFunction(() => document.querySelector<HTMLProgressElement>('.learning progress')!.value > 0.05);
  await page.click('input[name=scale][value="4"]');
  await settled();
  await page.waitForFunction(() => document.querySelector<HTMLElement>('.learn')!.checkVisibility());
  expect(await isShown('.gains')).toBe(false);
  expect(await isShown('.curve')).toBe(false);
});

test('a video is enlarged by a kernel that was learned, and a picture of it can be learned from', async () => {
  await open('?device=cpu&kernel=learned&scale=2');
  await learn();
  await page.click('.camera');
  await live();
  expect(await text('#difference-note')).toContain('Rounding to 32 bits explains');
  expect(await text('.learn-note')).toContain('keep one of the video');
  expect(await page.$eval('.learn', (button) => (button as HTMLButtonElement).disabled)).toBe(true);
  await page.click('.keep');
  await page.waitForFunction(() => document.querySelector('.picture-name')!.textContent === 'Photo.');
  await settled();
  await learn();
  expect(await text('.learn-note')).toContain('beside bilinear');
});

test('with the keyboard alone: the focus goes to Cancel, and back', async () => {
  await open('?device=webgpu&kernel=learned&scale=2');
  await page.focus('input[name=kernel][value=learned]');
  await page.keyboard.press('Tab');
  const focused = (): Promise<string> => page.evaluate(() => document.activeElement!.className);
  expect(await focused()).toContain('learn');
  await page.keyboard.press('Enter');
  await page.waitForFunction(() => document.activeElement!.classList.contains('cancel-learning'));
  await page.keyboard.press('Enter');
  await status(/^Cancelled/);
  expect(await focused()).toContain('primary learn');
});

test('a GPU that is taken away in the middle is told in plain words, and learning can begin again', async () => {
  await open('?device=webgpu&kernel=learned&scale=2', { prepare: takableGpu });
  await page.click('.learn');
  await page.waitForFunction(() => document.querySelector<HTMLProgressElement>('.learning progress')!.value > 0.05);
  await page.evaluate(() => window.dispatchEvent(new Event('take-gpu')));
  await status(/^The GPU was taken away/);
  expect(await isShown('.learn')).toBe(true);
  await learn();
  expect(await figure('#gain')).toBeGreaterThanOrEqual(0.5);
});

test('a picture that is too small to learn from is refused in plain words', async () => {
  await open('?device=cpu&kernel=learned&scale=2');
  await choose(randomPixels(50, 90, 1), 'small.png');
  await page.click('.learn');
  await status(/^This picture is too small to learn from/);
  expect(await isShown('.learn')).toBe(true);
});

test.each(['cpu', 'webgpu'])('the page answers all the time while it learns on %s', async (device) => {
  await open(`?device=${device}&kernel=learned&scale=2`);
  await expectResponsive(page, learn);
});

test.each(LOOKS)('at %i pixels, %s, what was learned fits and can be read by everyone', async (width, scheme) => {
  await open('?device=cpu&kernel=learned', { width, scheme });
  await expectFits(page, `upsample-unlearned-${width}-${scheme}`);
  await expectAccessible(page);
  await learn();
  await expectFits(page, `upsample-learned-${width}-${scheme}`);
  await expectAccessible(page);
});
