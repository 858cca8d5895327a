import sampleUrl from '../../pictures/harbour.webp';
import { DEVICE_CHOICES, type OpenDevice } from '../device.ts';
import { find, onClick } from '../page.ts';
import { saveAs } from '../save.ts';
import type { ViewContext } from '../view.ts';
import { CompareView } from './compare-view.ts';
import { explain } from './explain.ts';
import { KERNEL_IDS, layerOf, roundingBound, SCALES, type UpsampleLayer } from './kernels.ts';
import { enlargeLive } from './live.ts';
import { Before, pictureOf, readPicture, workingSize, type Picture } from './picture.ts';
import { watchPictures, type Given } from './picture-input.ts';
import { Report } from './report.ts';
import { Result } from './result.ts';
import { SampleCheck } from './sample-check.ts';
import { readSettings, writeSettings, type Settings } from './settings.ts';
import { Upsampler } from './upsample.ts';
import { openCamera, openFilm, type Playing } from './video.ts';
import './view.css';
import markup from './view.html?raw';

export async function mount(root: HTMLElement, params: URLSearchParams, context: ViewContext): Promise<void> {
  root.innerHTML = markup;
  const blob = await (await fetch(sampleUrl, { signal: context.signal })).blob();
  const view = new UpsampleView(root, readSettings(params), { blob, name: 'harbour' }, context);
  await view.openSample();
}

/** The view that enlarges a picture or a video: holds what was chosen, and runs again whenever a choice changes. */
class UpsampleView {
  readonly #root: HTMLElement;
  readonly #context: ViewContext;
  readonly #compare: CompareView;
  readonly #report: Report;
  readonly #sample: Given;
  #settings: Settings;
  #given: Given;
  #picture: Picture | undefined;
  /** In place of the picture, while it is there. */
  #playing: Playing | undefined;
  #result: Result | undefined;
  /** What the viewer shows at the moment, at whatever scale. */
  #shown: Picture | Playing | undefined;
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

  /** Shows another picture or film and enlarges it. */
  async open(given: Given): Promise<void> {
    if (given.blob.type.startsWith('video/')) return this.#play(() => openFilm(given.blob, given.name));
    try {
      const picture = await readPicture(given.blob, given.name);
      this.#picture?.source.close();
      this.#picture = picture;
      this.#given = given;
    } catch (error) {
      this.#report.problem(error);
      return;
    }
    this.#stopPlaying();
    this.#report.picture(given.name, given === this.#sample);
    await this.#run();
  }

  async #play(open: () => Promise<Playing>): Promise<void> {
    try {
      const playing = await open();
      this.#stopPlaying();
      if (this.#context.signal.aborted) {
        playing.close();
        return;
      }
      this.#playing = playing;
    } catch (error) {
      this.#report.problem(error);
      return;
    }
    this.#report.picture(this.#playing.name, false);
    this.#report.live(true);
    await this.#run();
  }

  #stopPlaying(): void {
    this.#playing?.close();
    this.#playing = undefined;
    this.#report.live(false);
  }

  async #run(again = false): Promise<void> {
    this.#running.abort();
    this.#running = new AbortController();
    const { signal } = this.#running;
    const { device: choice, scale, kernel } = this.#settings;
    if (this.#context.signal.aborted) return;
    this.#report.started();
    try {
      const layer = layerOf(kernel, scale);
      const opening = this.#context.devices.open(choice);
      if (this.#playing) await this.#enlargeLive(this.#playing, layer, await opening, signal);
      else if (this.#picture) await this.#enlarge(this.#picture, layer, opening, signal);
    } catch (error) {
      // A run that was superseded leaves the page to its successor.
      if (this.#running.signal !== signal) return;
      if (signal.aborted) this.#report.cancelled();
      // The shell told of it; with a new device the work may simply begin again.
      else if (isLoss(error) && !again) await this.#run(true);
      else this.#report.failed(error, choice !== 'cpu');
    }
  }

  async #enlarge(
    picture: Picture,
    layer: UpsampleLayer,
    opening: Promise<OpenDevice>,
    signal: AbortSignal,
  ): Promise<void> {
    const before = await Before.of(picture.source, workingSize(picture, layer.stride), layer.stride);
    signal.throwIfAborted();
    const result = this.#show(picture, before, layer);
    const opened = await opening;
    signal.throwIfAborted();
    this.#report.device(opened);
    const check = new SampleCheck(before.pixels, layer);
    const upsampler = new Upsampler(layer, opened.device);
    let milliseconds = 0;
    let strips = 0;
    try {
      for await (const finished of upsampler.run(before.pixels, signal)) {
        milliseconds += finished.milliseconds;
        strips = finished.count;
        await check.compare(finished.output, finished.strip.start * layer.stride);
        await result.add(finished.output);
        signal.throwIfAborted();
        this.#report.progress((finished.index + 1) / finished.count);
        this.#compare.redraw();
      }
    } finally {
      upsampler.destroy();
    }
    this.#report.finished({ opened, milliseconds, strips, check, bound: roundingBound(layer), result });
  }

  /** Puts the picture beside its enlargement, which is still to come. */
  #show(picture: Picture, before: Before, layer: UpsampleLayer): Result {
    const scale = layer.stride;
    const result = new Result(scale * before.width, scale * before.height);
    this.#result?.close();
    this.#result = result;
    const isNew = picture !== this.#shown;
    this.#shown = picture;
    this.#compare.show(result, before, result, !isNew);
    if (isNew && this.#given === this.#sample) this.#compare.closeUp(scale);
    this.#report.sizes(picture, before, result, 'the result would not fit in a page');
    explain(this.#root, this.#settings.kernel, layer, before);
    return result;
  }

  async #enlargeLive(playing: Playing, layer: UpsampleLayer, opened: OpenDevice, signal: AbortSignal): Promise<void> {
    this.#report.playing(opened);
    let first = true;
    for await (const frame of enlargeLive(playing.video, layer, opened, signal)) {
      const { before, after } = frame;
      if (first) {
        const { videoWidth: width, videoHeight: height } = playing.video;
        this.#report.sizes({ width, height }, before, after, 'so are all frames, that there be many in a second');
        explain(this.#root, this.#settings.kernel, layer, before);
      }
      this.#compare.show(after, before, after, !first || this.#shown === playing);
      this.#shown = playing;
      first = false;
      this.#report.frame(frame);
    }
  }

  #change(settings: Partial<Settings>): void {
    this.#settings = { ...this.#settings, ...settings };
    this.#context.setParams(writeSettings(this.#settings));
    void this.#run();
  }

  /** Ends the work and gives the memory back. */
  #close(): void {
    this.#running.abort();
    this.#playing?.close();
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
      const { name, value } = target;
      const scale = SCALES.find((each) => name === 'scale' && value === String(each));
      const kernel = KERNEL_IDS.find((each) => name === 'kernel' && value === each);
      const device = DEVICE_CHOICES.find((each) => name === 'device' && value === each);
      if (scale) this.#change({ scale });
      if (kernel) this.#change({ kernel });
      if (device) this.#change({ device });
    });
    const on = (selector: string, action: () => void): void => {
      onClick(selector, this.#root, action);
    };
    on('.sample', () => void this.openSample());
    on('.camera', () => void this.#play(openCamera));
    on('.keep', () => void this.#keep());
    on('.stop', () => void this.open(this.#given));
    on('.cancel', () => {
      this.#running.abort();
    });
    on('.retry', () => void this.#run());
    on('.use-cpu', () => {
      find('input[name=device][value=cpu]', HTMLInputElement, this.#root).click();
    });
  }

  /** Makes a still picture of what the video shows. */
  async #keep(): Promise<void> {
    if (!this.#playing) return;
    try {
      await this.open({ blob: await pictureOf(this.#playing.video), name: 'Photo' });
    } catch (error) {
      this.#report.problem(error);
    }
  }

  #watchToolbar(): void {
    const compare = this.#compare;
    const zoom = find('.zoom', HTMLOutputElement, this.#root);
    compare.onZoom = (factor) => {
      zoom.value = `${Math.round(100 * factor)} %`;
    };
    const actions = { in: 'zoomIn', out: 'zoomOut', fit: 'fit', actual: 'actualSize' } as const;
    for (const [name, action] of Object.entries(actions)) {
      onClick(`[data-zoom=${name}]`, this.#root, () => {
        compare[action]();
      });
    }
    onClick('.save', this.#root, () => void this.#save());
  }

  async #save(): Promise<void> {
    if (!this.#result || !this.#picture) return;
    try {
      const { kernel, scale } = this.#settings;
      const name = `${this.#picture.name.replace(/\.\w+$/, '')}-${kernel}-${scale}x.png`;
      saveAs(await this.#result.toPng(), name);
    } catch (error) {
      this.#report.problem(error);
    }
  }
}

const isLoss = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'DEVICE_LOST';
