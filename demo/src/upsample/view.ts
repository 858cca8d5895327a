import sampleUrl from '../../pictures/harbour.webp';
import { DEVICE_CHOICES, type OpenDevice } from '../device.ts';
import { find, onClick } from '../page.ts';
import type { ViewContext } from '../view.ts';
import { SCALES, type Scale } from './bilinear.ts';
import { CompareView } from './compare-view.ts';
import { Before, readPicture, workingSize, type Picture } from './picture.ts';
import { watchPictures, type Given } from './picture-input.ts';
import { Report } from './report.ts';
import { Result } from './result.ts';
import { SampleCheck } from './sample-check.ts';
import { readSettings, writeSettings, type Settings } from './settings.ts';
import { upsample } from './upsample.ts';
import './view.css';
import markup from './view.html?raw';

export async function mount(root: HTMLElement, params: URLSearchParams, context: ViewContext): Promise<void> {
  root.innerHTML = markup;
  const blob = await (await fetch(sampleUrl, { signal: context.signal })).blob();
  const view = new UpsampleView(root, readSettings(params), { blob, name: 'harbour' }, context);
  await view.openSample();
}

/** The view that enlarges a picture: holds what was chosen, and runs again whenever a choice changes. */
class UpsampleView {
  readonly #root: HTMLElement;
  readonly #context: ViewContext;
  readonly #compare: CompareView;
  readonly #report: Report;
  readonly #sample: Given;
  #settings: Settings;
  #picture: Picture | undefined;
  #result: Result | undefined;
  #given: Given;
  #shown: Picture | undefined;
  #running = new AbortController();

  constructor(root: HTMLElement, settings: Settings, sample: Given, context: ViewContext) {
    this.#root = root;
    this.#context = context;
    this.#settings = settings;
    this.#sample = sample;
    this.#given = sample;
    this.#compare = new CompareView(find('.viewer', HTMLElement, root), context.signal);
    this.#report = new Report(root);
    this.#watchSettings();
    this.#watchToolbar();
    watchPictures(
      root,
      context.signal,
      (given) => void this.open(given),
      (error) => {
        this.#report.problem(error);
      },
    );
    context.signal.addEventListener('abort', () => {
      this.#close();
    });
  }

  openSample(): Promise<void> {
    return this.open(this.#sample);
  }

  /** Shows another picture and enlarges it. */
  async open(given: Given): Promise<void> {
    try {
      const picture = await readPicture(given.blob, given.name);
      this.#picture?.source.close();
      this.#picture = picture;
      this.#given = given;
    } catch (error) {
      this.#report.problem(error);
      return;
    }
    this.#report.picture(given.name, given === this.#sample);
    await this.#run();
  }

  async #run(): Promise<void> {
    this.#running.abort();
    this.#running = new AbortController();
    const { signal } = this.#running;
    const { device: choice, scale } = this.#settings;
    if (!this.#picture || this.#context.signal.aborted) return;
    this.#report.started();
    try {
      const before = new Before(this.#picture, workingSize(this.#picture, scale), scale);
      const result = this.#show(this.#picture, before, scale);
      const opened = await this.#context.devices.open(choice);
      signal.throwIfAborted();
      this.#report.device(opened);
      await this.#enlarge(before, scale, opened, result, signal);
    } catch (error) {
      // A run that was superseded leaves the page to its successor.
      if (this.#running.signal !== signal) return;
      if (signal.aborted) this.#report.cancelled();
      else this.#report.failed(error, choice !== 'cpu');
    }
  }

  /** Puts the picture beside its enlargement, which is still to come. */
  #show(picture: Picture, before: Before, scale: Scale): Result {
    const result = new Result(scale * before.width, scale * before.height);
    this.#result?.close();
    this.#result = result;
    const isNew = picture !== this.#shown;
    this.#shown = picture;
    this.#compare.show(result, before, result, !isNew);
    if (isNew && this.#given === this.#sample) this.#compare.closeUp(scale);
    this.#report.sizes(picture, before, result, scale);
    return result;
  }

  async #enlarge(before: Before, scale: Scale, opened: OpenDevice, result: Result, signal: AbortSignal): Promise<void> {
    const check = new SampleCheck(before.pixels, scale);
    let milliseconds = 0;
    let strips = 0;
    for await (const finished of upsample(before.pixels, scale, opened.device, signal)) {
      milliseconds += finished.milliseconds;
      strips = finished.count;
      check.compare(finished.output, finished.strip.start * scale);
      await result.add(finished.output);
      signal.throwIfAborted();
      this.#report.progress((finished.index + 1) / finished.count);
      this.#compare.redraw();
    }
    this.#report.finished({ opened, milliseconds, strips, check, result });
  }

  #change(settings: Partial<Settings>): void {
    this.#settings = { ...this.#settings, ...settings };
    this.#context.setParams(writeSettings(this.#settings));
    void this.#run();
  }

  /** Ends the work and gives the memory back. */
  #close(): void {
    this.#running.abort();
    this.#picture?.source.close();
    this.#result?.close();
  }

  #watchSettings(): void {
    const controls = find('.controls', HTMLFormElement, this.#root);
    for (const [name, value] of Object.entries(this.#settings)) {
      find(`input[name=${name}][value="${value}"]`, HTMLInputElement, controls).checked = true;
    }
    controls.addEventListener('change', ({ target }) => {
      if (!(target instanceof HTMLInputElement)) return;
      const scale = SCALES.find((each) => target.name === 'scale' && target.value === String(each));
      const device = DEVICE_CHOICES.find((each) => target.name === 'device' && target.value === each);
      if (scale) this.#change({ scale });
      if (device) this.#change({ device });
    });
    onClick('.sample', this.#root, () => void this.open(this.#sample));
    onClick('.cancel', this.#root, () => {
      this.#running.abort();
    });
    onClick('.retry', this.#root, () => void this.#run());
    onClick('.use-cpu', this.#root, () => {
      find('input[name=device][value=cpu]', HTMLInputElement, this.#root).click();
    });
  }

  #watchToolbar(): void {
    const zoom = find('.zoom', HTMLOutputElement, this.#root);
    this.#compare.onZoom = (factor) => {
      zoom.value = `${Math.round(100 * factor)} %`;
    };
    onClick('[data-zoom=in]', this.#root, () => {
      this.#compare.zoomIn();
    });
    onClick('[data-zoom=out]', this.#root, () => {
      this.#compare.zoomOut();
    });
    onClick('[data-zoom=fit]', this.#root, () => {
      this.#compare.fit();
    });
    onClick('[data-zoom=actual]', this.#root, () => {
      this.#compare.actualSize();
    });
    onClick('.save', this.#root, () => void this.#save());
  }

  async #save(): Promise<void> {
    if (!this.#result || !this.#picture) return;
    try {
      const link = document.createElement('a');
      link.href = URL.createObjectURL(await this.#result.toPng());
      link.download = `${this.#picture.name.replace(/\.\w+$/, '')}-${this.#settings.scale}x.png`;
      link.click();
      setTimeout(() => {
        URL.revokeObjectURL(link.href);
      }, 60_000);
    } catch (error) {
      this.#report.problem(error);
    }
  }
}
