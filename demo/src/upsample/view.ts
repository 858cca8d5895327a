import sampleUrl from '../../pictures/harbour.webp';
import { DEVICE_CHOICES, type OpenDevice } from '../device.ts';
import { find, onClick } from '../page.ts';
import { saveAs } from '../save.ts';
import type { ViewContext } from '../view.ts';
import { fetched } from '../words.ts';
import { Before } from './before.ts';
import { CompareView } from './compare-view.ts';
import { enlarge } from './enlarge.ts';
import { explain } from './explain.ts';
import { KERNEL_CHOICES, layerOf, roundingBound, SCALES, type UpsampleLayer } from './kernels.ts';
import { LearningPanel, type Source } from './learning/panel.ts';
import { enlargeLive } from './live.ts';
import type { LiveResult } from './live-frame.ts';
import { pictureOf, readPicture, workingSize, type Picture } from './picture.ts';
import { watchPictures, type Given } from './picture-input.ts';
import { Report } from './report.ts';
import { Result } from './result.ts';
import { SampleCheck } from './sample-check.ts';
import { readSettings, writeSettings, type Settings } from './settings.ts';
import { watchToolbar } from './toolbar.ts';
import { openCamera, openFilm, type Playing } from './video.ts';
import './view.css';
import markup from './view.html?raw';

/** What is left and right of the divider. */
const BEFORE_AND_AFTER: [string, string] = ['Before', 'After'];
const RIVALS: [string, string] = ['Bilinear', 'Learned'];

export async function mount(root: HTMLElement, params: URLSearchParams, context: ViewContext): Promise<void> {
  root.innerHTML = markup;
  const blob = await fetched(loadSample(context.signal));
  const view = new UpsampleView(root, readSettings(params), { blob, name: 'harbour' }, context);
  await view.openSample();
}

async function loadSample(signal: AbortSignal): Promise<Blob> {
  const response = await fetch(sampleUrl, { signal });
  if (!response.ok) throw new Error(`${response.status} ${response.statusText}`);
  return response.blob();
}

/** The view that enlarges a picture or a video: holds what was chosen, and runs again whenever a choice changes. */
class UpsampleView {
  readonly #root: HTMLElement;
  readonly #context: ViewContext;
  readonly #compare: CompareView;
  readonly #report: Report;
  readonly #learning: LearningPanel;
  readonly #sample: Given;
  #settings: Settings;
  /** The picture, or where none is open yet, the one to begin with. */
  #given: Given;
  #picture: Picture | undefined;
  /** In place of the picture, while it is there. */
  #playing: Playing | undefined;
  /** The picture at the size at which it is enlarged. */
  #before: Promise<Before> | undefined;
  #results: Result[] = [];
  /** Beside the results, where it is shown. */
  #shownBefore: Before | undefined;
  /** What the viewer shows at the moment, at whatever scale. */
  #shown: Picture | Playing | undefined;
  #running = new AbortController();
  #choice: symbol | undefined;

  constructor(root: HTMLElement, settings: Settings, sample: Given, context: ViewContext) {
    this.#root = root;
    this.#context = context;
    this.#settings = settings;
    this.#sample = sample;
    this.#given = sample;
    this.#compare = new CompareView(find('.viewer', HTMLElement, root), context.signal);
    this.#report = new Report(root);
    this.#learning = new LearningPanel(
      root,
      () => this.#source(),
      () => void this.#run(),
    );
    this.#watchSettings();
    watchToolbar(root, this.#compare);
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
    if (given.blob.type.startsWith('video/')) await this.#play(() => openFilm(given.blob, given.name));
    else await this.#stand(() => readPicture(given));
  }

  async #stand(open: () => Promise<Picture>): Promise<void> {
    const picture = await this.#choose(open);
    if (!picture) return;
    this.#stopPlaying();
    this.#picture?.close();
    this.#picture = picture;
    this.#given = picture.given;
    this.#report.picture(this.#given.name, this.#given === this.#sample);
    await this.#run();
  }

  async #play(open: () => Promise<Playing>): Promise<void> {
    const playing = await this.#choose(open);
    if (!playing) return;
    this.#stopPlaying();
    this.#playing = playing;
    this.#report.picture(playing.name, false);
    this.#report.live(true);
    await this.#run();
  }

  /** Opens what was chosen. What was chosen before and opens later is closed again, and nothing is said of it. */
  async #choose<T extends { close(): void }>(open: () => Promise<T>): Promise<T | undefined> {
    const choice = Symbol();
    this.#choice = choice;
    const isWanted = (): boolean => this.#choice === choice && !this.#context.signal.aborted;
    try {
      const opened = await open();
      if (isWanted()) return opened;
      opened.close();
    } catch (error) {
      if (isWanted()) this.#report.problem(error);
    }
    return undefined;
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
    if (kernel === 'learned') this.#learning.show(scale, this.#playing ? undefined : this.#given);
    else this.#learning.hide();
    try {
      const layer = kernel === 'learned' ? this.#learning.layer(scale) : layerOf(kernel, scale);
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
    const scale = layer.stride;
    // A kernel that was learned is shown beside the one that it started from.
    const isRival = this.#settings.kernel === 'learned' && this.#learning.isLearned(scale);
    const count = isRival ? 2 : 1;
    this.#before = Before.of(picture.source, workingSize(picture, scale, count), scale);
    const before = await this.#before;
    if (signal.aborted) before.close();
    signal.throwIfAborted();
    const result = new Result(scale * before.width, scale * before.height);
    const rival = isRival ? new Result(result.width, result.height) : undefined;
    this.#show(picture, before, result, rival);
    explain(this.#root, this.#settings.kernel, layer, before);
    const opened = await opening;
    signal.throwIfAborted();
    this.#report.device(opened);
    const check = new SampleCheck(before.pixels, layer);
    let done = 0;
    const onProgress = (part: number): void => {
      this.#report.progress((done + part) / count);
      this.#compare.redraw();
    };
    const job = { device: opened.device, signal, onProgress };
    if (rival) {
      await enlarge(before.pixels, rival, { ...job, layer: layerOf('bilinear', scale) });
      done++;
    }
    const spent = await enlarge(before.pixels, result, { ...job, layer, check });
    this.#report.finished({ opened, ...spent, check, bound: roundingBound(layer), result });
  }

  /** Puts the picture, or its enlargement by another kernel, beside the enlargement; those are still to come. */
  #show(picture: Picture, before: Before, result: Result, rival: Result | undefined): void {
    this.#closeResults();
    this.#results = rival ? [result, rival] : [result];
    this.#shownBefore = before;
    const isNew = picture !== this.#shown;
    this.#shown = picture;
    this.#compare.name(...(rival ? RIVALS : BEFORE_AND_AFTER));
    this.#compare.show(result, rival ?? before, result, !isNew);
    if (isNew && this.#given === this.#sample) this.#compare.closeUp(result.width / before.width);
    this.#report.sizes(picture, before, result, 'since the result would not fit in a page');
  }

  async #enlargeLive(playing: Playing, layer: UpsampleLayer, opened: OpenDevice, signal: AbortSignal): Promise<void> {
    this.#report.playing(opened);
    let shown: LiveResult | undefined;
    for await (const frame of enlargeLive(playing.video, layer, opened, signal)) {
      const { before, after } = frame;
      const isTurned = shown !== undefined && after !== shown;
      if (after !== shown) {
        const { videoWidth: width, videoHeight: height } = playing.video;
        this.#report.sizes({ width, height }, before, after, 'as all frames are, to show many in a second');
        explain(this.#root, this.#settings.kernel, layer, before);
        this.#compare.name(...BEFORE_AND_AFTER);
      }
      this.#compare.show(after, before, after, this.#shown === playing && !isTurned);
      this.#shown = playing;
      shown = after;
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
    this.#picture?.close();
    this.#learning.cancel();
    this.#closeResults();
  }

  #closeResults(): void {
    for (const result of this.#results) result.close();
    this.#results = [];
    this.#shownBefore?.close();
    this.#shownBefore = undefined;
  }

  /** What a kernel can be learned from now. */
  #source(): Source | undefined {
    if (this.#playing) return undefined;
    const { device, scale } = this.#settings;
    return (
      this.#before && {
        given: this.#given,
        pixels: this.#before.then(({ pixels }) => pixels),
        scale,
        device: this.#context.devices.open(device),
      }
    );
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
      const kernel = KERNEL_CHOICES.find((each) => name === 'kernel' && value === each);
      const device = DEVICE_CHOICES.find((each) => name === 'device' && value === each);
      if (scale) this.#change({ scale });
      if (kernel) this.#change({ kernel });
      if (device) this.#change({ device });
    });
    const on = (selector: string, action: () => void): void => {
      onClick(selector, this.#root, action);
    };
    on('.save', () => void this.#save());
    on('.sample', () => void this.openSample());
    on('.camera', () => void this.#play(openCamera));
    on('.keep', () => void this.#keep());
    on('.stop', () => void this.open(this.#given));
    on('.cancel', () => {
      this.#running.abort();
    });
    on('.retry', () => void this.#run());
    on('.again', () => void this.#run());
    on('.use-cpu', () => {
      find('input[name=device][value=cpu]', HTMLInputElement, this.#root).click();
    });
  }

  /** Makes a still picture of what the video shows. */
  async #keep(): Promise<void> {
    const video = this.#playing?.video;
    if (video) await this.#stand(async () => readPicture({ blob: await pictureOf(video), name: 'Photo' }));
  }

  async #save(): Promise<void> {
    const [result] = this.#results;
    if (!result || !this.#picture) return;
    try {
      const { kernel, scale } = this.#settings;
      const name = `${this.#given.name.replace(/\.\w+$/, '')}-${kernel}-${scale}x.png`;
      saveAs(await result.toPng(), name);
    } catch (error) {
      this.#report.problem(error);
    }
  }
}

const isLoss = (error: unknown): boolean => error instanceof Error && 'code' in error && error.code === 'DEVICE_LOST';
