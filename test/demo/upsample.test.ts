/** Upsample as a visitor uses it, in headless Chromium: what the page shows and saves, compared with the reference. */
import type { Page } from 'puppeteer';
import { describe, expect, test } from 'vitest';
import { convTranspose2dReference } from 'webgpu-conv-transpose2d/reference';
import {
  KERNEL_IDS,
  layerOf,
  paddingOf,
  roundingBound,
  SCALES,
  type KernelId,
  type Scale,
} from '../../demo/src/upsample/kernels.ts';
import { CHANNELS, stripToTensor, type Pixels } from '../../demo/src/upsample/pixels.ts';
import { boundsOf } from '../support/tolerance.ts';
import { encodePng, randomPixels } from './pictures.ts';
import { expectAccessible, expectFits, expectResponsive, LOOKS, pretendHardware, takableGpu } from './site.ts';
import { choose, chooseFile, live, open, settled, shows } from './upsample-page.ts';
import { drawn, figure, isShown, page, text } from './visit.ts';

/** Presses Save and reads the PNG that the page hands out. */
async function save(): Promise<Pixels> {
  const { width, height, base64 } = await page.evaluate(async () => {
    const saved = new Promise<Blob>((resolve) => {
      const original = URL.createObjectURL.bind(URL);
      URL.createObjectURL = (blob: Blob) => {
        resolve(blob);
        URL.createObjectURL = original;
        return original(blob);
      };
    });
    document.querySelector<HTMLButtonElement>('.save')!.click();
    const bitmap = await createImageBitmap(await saved);
    const { width, height } = bitmap;
    const context = new OffscreenCanvas(width, height).getContext('2d')!;
    context.drawImage(bitmap, 0, 0);
    const { data } = context.getImageData(0, 0, width, height);
    let binary = '';
    for (let i = 0; i < data.length; i += 4096) binary += String.fromCharCode(...data.subarray(i, i + 4096));
    return { width, height, base64: btoa(binary) };
  });
  return { width, height, data: new Uint8ClampedArray(Buffer.from(base64, 'base64')) };
}

/** The difference that the page found and shows. */
async function expectCloseToReference(kernel: KernelId, scale: Scale): Promise<void> {
  expect(await figure('#difference')).toBeLessThanOrEqual(roundingBound(layerOf(kernel, scale)));
}

/** Every colour of `actual` must be the reference's, rounded to a byte. */
function expectUpsampled(actual: Pixels, pixels: Pixels, kernel: KernelId, scale: Scale): void {
  const layer = layerOf(kernel, scale);
  const problem = {
    input: stripToTensor(pixels, { start: 0, end: pixels.height }, layer.halo),
    weight: layer.weight,
    options: { stride: scale, padding: paddingOf(layer), groups: CHANNELS },
  };
  const { data } = convTranspose2dReference(problem.input, problem.weight, null, problem.options);
  const bounds = boundsOf(problem);
  const plane = actual.width * actual.height;
  expect([actual.width, actual.height]).toEqual([scale * pixels.width, scale * pixels.height]);
  for (let i = 0; i < data.length; i++) {
    const byte = actual.data[4 * (i % plane) + Math.floor(i / plane)]!;
    // Colours end at black and white.
    const difference = Math.abs(byte - Math.min(255, Math.max(0, data[i]!)));
    if (!(difference <= 0.5 + bounds[i]!)) throw new Error(`value ${i} is ${byte} instead of ${data[i]}`);
  }
}

describe.each([
  ['webgpu', /^GPU/],
  ['cpu', /^CPU$/],
] as const)('on ?device=%s', (device, name) => {
  const cases = KERNEL_IDS.flatMap((kernel) => SCALES.map((scale) => [kernel, scale] as const));
  test.each(cases)('a picture goes in and comes out enlarged: %s, %i times', async (kernel, scale) => {
    await open(`?device=${device}&kernel=${kernel}&scale=${scale}`);
    const pixels = randomPixels(45, 67, scale);
    await choose(pixels, 'noise.png');
    expect(await text('#device')).toMatch(name);
    expect(await text('#size')).toBe(`67 × 45 → ${67 * scale} × ${45 * scale}`);
    expect(await text('.status')).toContain(device === 'cpu' ? 'on the CPU' : 'on the GPU');
    expect(await figure('#time')).toBeGreaterThan(0);
    await expectCloseToReference(kernel, scale);
    expect(await text('#difference-note')).toContain('4,096');
    expectUpsampled(await save(), pixels, kernel, scale);
  });

  test('a full-HD picture is enlarged in strips', async () => {
    const scale = device === 'cpu' ? 4 : 2;
    await open(`?device=${device}&scale=${scale}`);
    await choose(randomPixels(1080, 1920, 5), 'full-hd.png');
    expect(await text('#size')).toBe(`1920 × 1080 → ${1920 * scale} × ${1080 * scale}`);
    expect(await text('#time-note')).toMatch(/in \d+ strips/);
    await expectCloseToReference('bicubic', scale);
  });
});

test('without a hardware GPU the page says so and uses the CPU', async () => {
  await open('');
  expect(await text('#device')).toBe('CPU');
  expect(await text('#device-note')).toMatch(/^No hardware GPU can be used here, so the processor computes \(.+\)\.$/);
  await expectCloseToReference('bicubic', 3);
});

test('without WebGPU the page uses the CPU', async () => {
  await open('', {
    prepare: (fresh) =>
      fresh.evaluateOnNewDocument(() => {
        Object.defineProperty(navigator, 'gpu', { value: undefined });
      }),
  });
  expect(await text('#device')).toBe('CPU');
  expect(await text('#device-note')).toContain('No hardware GPU can be used here');
  await expectCloseToReference('bicubic', 3);
});

test('a forced GPU that is not there is told in plain words, with a way on', async () => {
  await open('?device=webgpu', {
    prepare: (fresh) =>
      fresh.evaluateOnNewDocument(() => {
        Object.defineProperty(navigator, 'gpu', { value: undefined });
      }),
  });
  expect(await text('.stage .problem p')).toContain('no GPU that it can use');
  await page.click('.use-cpu');
  await page.waitForFunction(() => document.querySelector('.status')!.textContent.startsWith('Done'));
  expect(await text('#device')).toBe('CPU');
  expect(await page.$eval('.stage .problem', (element) => (element as HTMLElement).hidden)).toBe(true);
  expect(new URL(page.url()).search).toBe('?device=cpu');
});

test('a GPU that is taken away is told in plain words, and the page goes on', async () => {
  await open('?device=webgpu&scale=2', { prepare: takableGpu });
  await page.evaluate(() => window.dispatchEvent(new Event('take-gpu')));
  await page.waitForFunction(() => !document.querySelector<HTMLElement>('#problem')!.hidden);
  expect(await text('#problem p')).toContain('The GPU was taken away');
  await page.click('input[name=scale][value="3"]');
  await page.waitForFunction(() => document.querySelector('.status')!.textContent.startsWith('Done: 1080'));
  await expectCloseToReference('bicubic', 3);
});

test('choices made on the page run again and go into the address', async () => {
  await open('?device=cpu');
  await page.click('input[name=scale][value="4"]');
  await page.waitForFunction(() => document.querySelector('#size')!.textContent.endsWith('1440 × 960'));
  await settled();
  expect(new URL(page.url()).searchParams.get('scale')).toBe('4');
  expect(await text('#explain-code')).toContain('new ConvTranspose2d(3, 3, 16, { stride: 4, padding: 6');
  await page.click('input[name=kernel][value=bilinear]');
  await settled();
  expect(new URL(page.url()).search).toBe('?device=cpu&scale=4&kernel=bilinear');
  expect(await text('#explain-code')).toContain('new ConvTranspose2d(3, 3, 8, { stride: 4, padding: 2');
});

test('a picture can be pasted and dropped', async () => {
  await open('?device=cpu&scale=2');
  const give = (kind: 'paste' | 'drop', pixels: Pixels): Promise<void> =>
    page.evaluate(
      async (kind, base64) => {
        const blob = await (await fetch(`data:image/png;base64,${base64}`)).blob();
        const data = new DataTransfer();
        data.items.add(new File([blob], 'given.png', { type: 'image/png' }));
        const event =
          kind === 'paste'
            ? new ClipboardEvent('paste', { clipboardData: data, bubbles: true })
            : new DragEvent('drop', { dataTransfer: data, bubbles: true, cancelable: true });
        document.body.dispatchEvent(event);
      },
      kind,
      encodePng(pixels).toString('base64'),
    );
  await give('paste', randomPixels(20, 30, 1));
  await shows({ width: 30, height: 20 });
  await give('drop', randomPixels(30, 20, 2));
  await shows({ width: 20, height: 30 });
});

test('a camera is enlarged live, a picture of it can be kept, and it is let go', async () => {
  await open('?device=cpu&scale=2&kernel=bilinear');
  await page.click('.camera');
  await live();
  await expectCloseToReference('bilinear', 2);
  expect(await text('#difference-note')).toContain('values of the last frame');
  const [from, to] = (await text('#size')).split(' → ').map((part) => part.split(' × ').map(Number));
  expect(to).toEqual(from!.map((extent) => 2 * extent));
  await expectFits(page, 'upsample-live');
  await page.click('input[name=kernel][value=lanczos]');
  await page.waitForFunction(() => document.querySelector('#explain-text')!.textContent.includes('12 × 12'));
  await live();
  await expectCloseToReference('lanczos', 2);
  await page.click('.keep');
  await page.waitForFunction(() => document.querySelector('.picture-name')!.textContent === 'Photo.');
  await settled();
  await expectCloseToReference('lanczos', 2);
  expect(await page.$eval('.live', (element) => (element as HTMLElement).hidden)).toBe(true);
  await page.click('.camera');
  await live();
  await page.click('.stop');
  await page.waitForFunction(() => document.querySelector('.picture-name')!.textContent === 'Photo.');
  await settled();
});

/** Has the camera be a canvas of 640 × 480 that events of the window turn, in black and white halves. */
async function turnableCamera(fresh: Page): Promise<void> {
  await fresh.evaluateOnNewDocument(() => {
    navigator.mediaDevices.getUserMedia = () => {
      const canvas = Object.assign(document.createElement('canvas'), { width: 640, height: 480 });
      const context = canvas.getContext('2d')!;
      window.addEventListener('turn', () => {
        [canvas.width, canvas.height] = [canvas.height, canvas.width];
      });
      const draw = (): void => {
        const { width, height } = canvas;
        context.fillStyle = 'white';
        context.fillRect(0, 0, width, height);
        context.fillStyle = 'black';
        context.fillRect(0, 0, width, height / 2);
        requestAnimationFrame(draw);
      };
      draw();
      return Promise.resolve(canvas.captureStream());
    };
  });
}

test.each([
  ['on the CPU', '320 × 240 → 640 × 480', '240 × 320 → 480 × 640', turnableCamera],
  [
    'on a hardware GPU',
    '640 × 480 → 1280 × 960',
    '480 × 640 → 960 × 1280',
    async (fresh: Page) => {
      await pretendHardware(fresh);
      await turnableCamera(fresh);
    },
  ],
] as const)('a camera that is turned is followed, %s', async (_, upright, turned, prepare) => {
  await open('?scale=2&kernel=bilinear', { prepare });
  await page.click('.camera');
  await live();
  expect(await text('#size')).toBe(upright);
  const sizeIs = (wanted: string): Promise<unknown> =>
    page.waitForFunction((wanted) => document.querySelector('#size')!.textContent === wanted, {}, wanted);
  for (const size of [turned, upright]) {
    await page.evaluate(() => window.dispatchEvent(new Event('turn')));
    await sizeIs(size);
    expect(await figure('#difference')).toBeLessThanOrEqual(roundingBound(layerOf('bilinear', 2), 2));
  }
});

describe('what is chosen last is shown, however long what was chosen before takes to open', () => {
  /** Has pictures that are higher than wide, or the camera, open no sooner than the window's event 'go-on' says so. */
  const slow =
    (what: 'picture' | 'camera') =>
    (fresh: Page): Promise<unknown> =>
      fresh.evaluateOnNewDocument((what) => {
        const goOn = new Promise((resolve) => {
          window.addEventListener('go-on', resolve, { once: true });
        });
        const opened: (ImageBitmap | MediaStream)[] = [];
        Object.assign(globalThis, { opened });
        const createBitmap = createImageBitmap as (...given: unknown[]) => Promise<ImageBitmap>;
        globalThis.createImageBitmap = async (...given: unknown[]) => {
          const bitmap = await createBitmap(...given);
          if (what === 'picture' && given[0] instanceof File && bitmap.width < bitmap.height) {
            opened.push(bitmap);
            await goOn;
          }
          return bitmap;
        };
        const getUserMedia = navigator.mediaDevices.getUserMedia.bind(navigator.mediaDevices);
        navigator.mediaDevices.getUserMedia = async (constraints) => {
          const stream = await getUserMedia(constraints);
          if (what === 'camera') {
            opened.push(stream);
            await goOn;
          }
          return stream;
        };
      }, what);

  /** Lets the slow one open, and holds that it is closed again. */
  async function goOn(): Promise<void> {
    await page.evaluate(() => window.dispatchEvent(new Event('go-on')));
    const left = (): Promise<boolean[]> =>
      page.evaluate(() =>
        (globalThis as unknown as { opened: (ImageBitmap | MediaStream)[] }).opened.map((one) =>
          one instanceof ImageBitmap ? one.width > 0 : one.active,
        ),
      );
    await expect.poll(left).toEqual([false]);
    await settled();
    await drawn();
  }

  const quick = randomPixels(20, 30, 2);

  test('a picture after a slow picture', async () => {
    await open('?device=cpu&scale=2', { prepare: slow('picture') });
    await chooseFile(encodePng(randomPixels(30, 20, 1)), 'slow.png');
    await choose(quick, 'quick.png');
    await goOn();
    expect(await text('.picture-name')).toBe('quick.png.');
    expectUpsampled(await save(), quick, 'bicubic', 2);
  });

  test('a picture after a slow camera', async () => {
    await open('?device=cpu&scale=2', { prepare: slow('camera') });
    await page.click('.camera');
    await choose(quick, 'quick.png');
    await goOn();
    expect(await text('.picture-name')).toBe('quick.png.');
    expect(await isShown('.live')).toBe(false);
  });

  test('a camera after a slow picture', async () => {
    await open('?device=cpu&scale=2', { prepare: slow('picture') });
    await chooseFile(encodePng(randomPixels(30, 20, 1)), 'slow.png');
    await page.click('.camera');
    await live();
    await goOn();
    expect(await isShown('.live')).toBe(true);
    expect(await text('.picture-name')).toBe('Camera.');
  });

  test('a picture after a file that is no picture and was slow to tell', async () => {
    await open('?device=cpu&scale=2', {
      prepare: (fresh) =>
        fresh.evaluateOnNewDocument(() => {
          const createBitmap = createImageBitmap;
          globalThis.createImageBitmap = async (...given: unknown[]) => {
            const made = (createBitmap as (...given: unknown[]) => Promise<ImageBitmap>)(...given);
            await made.catch(
              () =>
                new Promise((resolve) => {
                  window.addEventListener('go-on', resolve, { once: true });
                }),
            );
            return made;
          };
        }),
    });
    await chooseFile('not a picture', 'broken.png');
    await choose(quick, 'quick.png');
    await page.evaluate(() => window.dispatchEvent(new Event('go-on')));
    await drawn();
    expect(await isShown('.stage .problem')).toBe(false);
  });
});

test.each(KERNEL_IDS)('on a hardware GPU live frames stay there, and are right: %s', async (kernel) => {
  await open(`?scale=2&kernel=${kernel}`, { prepare: pretendHardware });
  expect(await text('#device')).toBe('GPU (some hardware)');
  await page.click('.camera');
  await live();
  expect(await text('#size')).toBe('640 × 480 → 1280 × 960');
  expect(await figure('#difference')).toBeLessThanOrEqual(roundingBound(layerOf(kernel, 2), 2));
  // The camera's picture is green: so must be what is shown at the right of the divider.
  await page.waitForFunction(() => {
    const canvas = document.querySelector<HTMLCanvasElement>('.viewer canvas')!;
    const { data } = canvas.getContext('2d')!.getImageData(canvas.width * 0.6, canvas.height * 0.9, 1, 1);
    return data[0] === 0 && data[1]! > 100 && data[2] === 0 && data[3] === 255;
  });
});

test('what is no picture is refused in plain words, and the page goes on', async () => {
  await open('?device=cpu&scale=2');
  await chooseFile('not a picture', 'broken.png');
  await page.waitForFunction(() => !document.querySelector<HTMLElement>('.stage .problem')!.hidden);
  expect(await text('.stage .problem p')).toContain('“broken.png” could not be read as a picture');
  await choose(randomPixels(9, 8, 1), 'tiny.png');
  expectUpsampled(await save(), randomPixels(9, 8, 1), 'bicubic', 2);
});

test('long work shows progress and can be cancelled', async () => {
  await open('?device=cpu&scale=4');
  await page.evaluate(() => {
    new MutationObserver((_, observer) => {
      const { value } = document.querySelector('progress')!;
      if (value === 0 || value > 0.5) return;
      observer.disconnect();
      document.querySelector<HTMLButtonElement>('.cancel')!.click();
    }).observe(document.querySelector('progress')!, { attributes: true });
  });
  await choose(randomPixels(1080, 1920, 5), 'full-hd.png');
  expect(await text('.status')).toContain('Cancelled');
  expect(await page.$eval('.save', (button) => (button as HTMLButtonElement).disabled)).toBe(true);
});

test('what was cancelled can be begun again, with the keyboard alone', async () => {
  await open('?device=cpu&scale=2');
  await chooseFile(encodePng(randomPixels(1080, 1920, 5)), 'full-hd.png');
  const focused = (): Promise<string> => page.evaluate(() => document.activeElement!.className);
  await page.waitForFunction(() => document.querySelector('#size')!.textContent.startsWith('1920'));
  await page.focus('.stage .cancel');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.again:not([hidden])');
  expect(await text('.status')).toContain('Cancelled');
  expect(await focused()).toBe('again');
  await page.keyboard.press('Enter');
  await page.waitForSelector('.stage[aria-busy=true]');
  expect([await isShown('.again'), await focused()]).toEqual([false, 'cancel']);
  await settled();
  expect(await text('.status')).toContain('Done: 3840 × 2160');
  expect(await focused()).toBe('save');
});

test('the picture is as wide as the buttons below it, however low the window', async () => {
  await open('?device=cpu&scale=2');
  for (const height of [900, 500, 300]) {
    await page.setViewport({ width: 1280, height });
    await drawn();
    const [viewer, toolbar] = await page.$$eval('.viewer, .toolbar', (parts) =>
      parts.map((part) => part.getBoundingClientRect().width),
    );
    expect(viewer).toBe(toolbar);
    expect(await page.$eval('.viewer', (part) => part.clientHeight)).toBeLessThanOrEqual(0.78 * height);
  }
});

test('a picture of one pixel, larger than the largest zoom, is not made smaller by plus', async () => {
  await open('?device=cpu&scale=2');
  await choose(randomPixels(1, 1, 1), 'one.png');
  const fitted = await text('.zoom');
  expect(parseInt(fitted)).toBeGreaterThan(6400);
  await page.click('[data-zoom=in]');
  expect(await text('.zoom')).toBe(fitted);
});

test('divider and zoom work with the keyboard, and both sides are drawn', async () => {
  await open('?device=cpu&scale=2');
  const white: Pixels = { width: 12, height: 8, data: new Uint8ClampedArray(4 * 96).fill(255) };
  await choose(white, 'white.png');
  const middle = (): Promise<number[]> =>
    page.evaluate(async () => {
      await new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)));
      const canvas = document.querySelector<HTMLCanvasElement>('.viewer canvas')!;
      const { data } = canvas.getContext('2d')!.getImageData(canvas.width / 2, canvas.height / 2, 1, 1);
      return [...data];
    });
  await page.focus('.divider');
  for (const [key, value] of [
    ['ArrowRight', '52'],
    ['Home', '0'],
    ['End', '100'],
  ] as const) {
    await page.keyboard.press(key);
    expect(await page.$eval('.divider', (element) => element.getAttribute('aria-valuenow'))).toBe(value);
    expect(await middle()).toEqual([255, 255, 255, 255]);
  }
  await page.focus('.viewer');
  const fitted = await text('.zoom');
  await page.keyboard.press('+');
  expect(await text('.zoom')).not.toBe(fitted);
  await page.keyboard.press('1');
  expect(await text('.zoom')).toBe('100 %');
  await page.keyboard.press('0');
  expect(await text('.zoom')).toBe(fitted);
});

test.each(LOOKS)('at %i pixels, %s, everything fits and can be used by everyone', async (width, scheme) => {
  await open('?device=cpu', { width, scheme });
  await expectFits(page, `upsample-${width}-${scheme}`);
  await expectAccessible(page);
});

test('a photo of twelve million pixels does not hold the page up', async () => {
  await open('?device=cpu&scale=2&kernel=nearest');
  const data = new Uint8ClampedArray(4 * 12e6).map((_, i) => (i % 4 === 3 ? 255 : i >> 6));
  await expectResponsive(page, () => choose({ width: 4000, height: 3000, data }, 'photo.png'));
});

test.each(['cpu', 'webgpu'])('the page answers all the time while it enlarges on %s', async (device) => {
  await open(`?device=${device}&scale=2`);
  await expectResponsive(page, async () => {
    await choose(randomPixels(720, 1280, 5), 'large.png');
    await page.click('input[name=scale][value="3"]');
    await page.click('.sample');
    await page.waitForFunction(() => document.querySelector('#size')!.textContent.endsWith('1080 × 720'));
    await settled();
  });
});
