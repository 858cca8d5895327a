import { openDevice, type OpenDevice } from '../device.ts';
import { find } from '../page.ts';
import { DEVICE_CHOICES, readUrlState, writeUrlState, type DeviceChoice, type UrlState } from '../url-state.ts';
import { SCALES, type Scale } from './bilinear.ts';
import { CompareView } from './compare-view.ts';
import { Before, readPicture, workingSize, type Picture } from './picture.ts';
import { watchPictures, type Given } from './picture-input.ts';
import { Report } from './report.ts';
import { Result } from './result.ts';
import { SampleCheck } from './sample-check.ts';
import { upsample } from './upsample.ts';

/** The view that enlarges a picture: holds what was chosen, and runs again whenever a choice changes. */
export class UpsampleView {
  readonly #compare = new CompareView(find('.viewer', HTMLElement));
  readonly #report = new Report();
  readonly #devices = new Map<DeviceChoice, Promise<OpenDevice>>();
  readonly #sample: Given;
  #state: UrlState = readUrlState(location.search);
  #picture: Picture | undefined;
  #result: Result | undefined;
  #given: Given;
  #shown: Picture | undefined;
  #running = new AbortController();

  constructor(sample: Given) {
    this.#sample = sample;
    this.#given = sample;
    this.#watchSettings();
    this.#watchToolbar();
    watchPictures(
      (given) => void this.open(given),
      (error) => {
        this.#report.problem(error);
      },
    );
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
    const { device: choice, scale } = this.#state;
    if (!this.#picture) return;
    this.#report.started();
    try {
      const before = new Before(this.#picture, workingSize(this.#picture, scale), scale);
      const result = this.#show(this.#picture, before, scale);
      const opened = await this.#open(choice);
      signal.throwIfAborted();
      this.#report.device(opened);
      await this.#enlarge(before, scale, opened, result, signal);
    } catch (error) {
      // A run that was superseded leaves the page to its successor.
      if (this.#running.signal !== signal) return;
      if (signal.aborted) {
        this.#report.cancelled();
      } else {
        this.#devices.delete(choice);
        this.#report.failed(error, choice !== 'cpu');
      }
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

  #open(choice: DeviceChoice): Promise<OpenDevice> {
    const known = this.#devices.get(choice) ?? openDevice(choice);
    this.#devices.set(choice, known);
    return known;
  }

  #change(state: Partial<UrlState>): void {
    this.#state = { ...this.#state, ...state };
    history.replaceState(
      null,
      '',
      `${location.pathname}${writeUrlState(location.search, this.#state)}${location.hash}`,
    );
    void this.#run();
  }

  #watchSettings(): void {
    const controls = find('.controls', HTMLFormElement);
    for (const [name, value] of Object.entries(this.#state)) {
      find(`input[name=${name}][value="${value}"]`, HTMLInputElement, controls).checked = true;
    }
    controls.addEventListener('change', ({ target }) => {
      if (!(target instanceof HTMLInputElement)) return;
      const scale = SCALES.find((each) => target.name === 'scale' && target.value === String(each));
      const device = DEVICE_CHOICES.find((each) => target.name === 'device' && target.value === each);
      if (scale) this.#change({ scale });
      if (device) this.#change({ device });
    });
    onClick('.sample', () => void this.open(this.#sample));
    onClick('.cancel', () => {
      this.#running.abort();
    });
    onClick('.retry', () => void this.#run());
    onClick('.use-cpu', () => {
      find('input[name=device][value=cpu]', HTMLInputElement).click();
    });
  }

  #watchToolbar(): void {
    const zoom = find('.zoom', HTMLOutputElement);
    this.#compare.onZoom = (factor) => {
      zoom.value = `${Math.round(100 * factor)} %`;
    };
    onClick('[data-zoom=in]', () => {
      this.#compare.zoomIn();
    });
    onClick('[data-zoom=out]', () => {
      this.#compare.zoomOut();
    });
    onClick('[data-zoom=fit]', () => {
      this.#compare.fit();
    });
    onClick('[data-zoom=actual]', () => {
      this.#compare.actualSize();
    });
    onClick('.save', () => void this.#save());
  }

  async #save(): Promise<void> {
    if (!this.#result || !this.#picture) return;
    try {
      const link = document.createElement('a');
      link.href = URL.createObjectURL(await this.#result.toPng());
      link.download = `${this.#picture.name.replace(/\.\w+$/, '')}-${this.#state.scale}x.png`;
      link.click();
      setTimeout(() => {
        URL.revokeObjectURL(link.href);
      }, 60_000);
    } catch (error) {
      this.#report.problem(error);
    }
  }
}

function onClick(selector: string, action: () => void): void {
  find(selector, HTMLButtonElement).addEventListener('click', action);
}
