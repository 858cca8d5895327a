import type { OpenDevice } from '../device.ts';
import { find } from '../page.ts';
import { duration, plainWords } from '../words.ts';
import type { Frame } from './live.ts';
import type { SampleCheck } from './sample-check.ts';
import type { Size } from './view-transform.ts';

export interface Finished {
  readonly opened: OpenDevice;
  readonly milliseconds: number;
  readonly strips: number;
  readonly check: SampleCheck;
  /** The difference that rounding alone can make. */
  readonly bound: number;
  readonly result: Size;
}

const pixels = ({ width, height }: Size): string => `${width} × ${height}`;
const decimals = new Intl.NumberFormat('en', { maximumSignificantDigits: 2 });
const whole = new Intl.NumberFormat('en');

/** Everything that the view says in words and numbers. */
export class Report {
  readonly #root: HTMLElement;
  readonly #stage: HTMLElement;
  readonly #progress: HTMLElement;
  readonly #status: HTMLElement;
  readonly #problem: HTMLElement;
  readonly #save: HTMLButtonElement;
  readonly #again: HTMLButtonElement;

  constructor(root: HTMLElement) {
    this.#root = root;
    this.#stage = find('.stage', HTMLElement, root);
    this.#progress = find('.progress', HTMLElement, root);
    this.#status = find('.status', HTMLElement, root);
    this.#problem = find('.problem', HTMLElement, root);
    this.#save = find('.save', HTMLButtonElement, root);
    this.#again = find('.again', HTMLButtonElement, root);
  }

  picture(name: string, isSample: boolean): void {
    find('.picture-name', HTMLElement, this.#root).textContent = isSample ? 'This is a sample.' : `${name}.`;
    find('.sample', HTMLButtonElement, this.#root).hidden = isSample;
  }

  started(): void {
    const hadFocus = [this.#problem, this.#again].some((place) => place.contains(document.activeElement));
    this.#stage.setAttribute('aria-busy', 'true');
    this.#problem.hidden = true;
    this.#again.hidden = true;
    this.#save.disabled = true;
    this.#status.textContent = 'Upsampling…';
    this.progress(0);
    this.#progress.hidden = false;
    // The button that was pressed is gone: what can be pressed now takes its place, here and below.
    if (hadFocus) find('.cancel', HTMLButtonElement, this.#progress).focus();
    this.#clearFigures('…');
  }

  device({ name, note }: OpenDevice): void {
    this.#figure('device', name, note);
  }

  sizes(picture: Size, input: Size, result: Size, why: string): void {
    const shrunk = input.width < picture.width;
    this.#figure(
      'size',
      `${pixels(input)} → ${pixels(result)}`,
      shrunk ? `The original has ${pixels(picture)} pixels. It was reduced first, ${why}.` : '',
    );
  }

  progress(part: number): void {
    find('progress', HTMLProgressElement, this.#progress).value = part;
  }

  finished({ opened, milliseconds, strips, check, bound, result }: Finished): void {
    this.#save.disabled = false;
    this.#stop(this.#save);
    const copies = opened.device === 'cpu' ? '' : ', copies to and from the GPU included';
    const inStrips = strips > 1 ? `, in ${strips} strips so that the page stays responsive` : '';
    this.#figure('time', duration(milliseconds), `For the transposed convolution${inStrips}${copies}.`, milliseconds);

    this.#difference(check, bound, 'values of the result, taken from all over it,');
    this.#status.textContent = `Done: ${pixels(result)} pixels in ${duration(milliseconds)} on the ${
      opened.device === 'cpu' ? 'CPU' : 'GPU'
    }.`;
  }

  /** Whether the buttons for a video are there. */
  live(isLive: boolean): void {
    find('.live', HTMLElement, this.#root).hidden = !isLive;
  }

  /** A video begins. */
  playing(opened: OpenDevice): void {
    this.#stop(find('.stop', HTMLButtonElement, this.#stage));
    this.#problem.hidden = true;
    this.device(opened);
    this.#status.textContent = 'Live: every frame is enlarged as it comes.';
  }

  frame({ milliseconds, framesPerSecond, check, bound }: Frame): void {
    const rate = `For a frame; ${framesPerSecond.toFixed(framesPerSecond < 10 ? 1 : 0)} frames in a second.`;
    this.#figure('time', duration(milliseconds), rate, milliseconds);
    this.#difference(check, bound, 'values of the last frame that was checked');
  }

  cancelled(): void {
    this.#again.hidden = false;
    this.#stop(this.#again);
    this.#clearFigures('–');
    this.#status.textContent = 'Cancelled. The part that was finished is shown.';
  }

  /** The enlargement failed. */
  failed(error: unknown, offerCpu: boolean): void {
    this.#say(error, true, offerCpu);
    this.#stop(find('.retry', HTMLButtonElement, this.#problem));
    this.#clearFigures('–');
    this.#figure('device', '–', '');
    this.#status.textContent = '';
  }

  /** Something else failed; what is shown stays. */
  problem(error: unknown): void {
    this.#say(error, false, false);
  }

  #difference({ largest, count }: SampleCheck, bound: number, which: string): void {
    const samples = `${whole.format(count)} ${which} were computed again in 64-bit arithmetic`;
    const verdict =
      largest <= bound
        ? `Rounding to 32 bits explains up to ${decimals.format(bound)}.`
        : `That is more than rounding explains (${decimals.format(bound)}): something computes wrongly here.`;
    const value = largest === 0 ? '0' : largest.toFixed(7).replace(/0+$/, '');
    this.#figure('difference', `${value} of 255 levels`, `${samples}. ${verdict}`, largest);
  }

  #say(error: unknown, offerRetry: boolean, offerCpu: boolean): void {
    find('p', HTMLElement, this.#problem).textContent = plainWords(error);
    find('.retry', HTMLButtonElement, this.#problem).hidden = !offerRetry;
    find('.use-cpu', HTMLButtonElement, this.#problem).hidden = !offerCpu;
    this.#problem.hidden = false;
  }

  #stop(next: HTMLElement): void {
    const hadFocus = this.#progress.contains(document.activeElement);
    this.#stage.setAttribute('aria-busy', 'false');
    this.#progress.hidden = true;
    if (hadFocus) next.focus({ preventScroll: true });
  }

  #clearFigures(placeholder: string): void {
    this.#figure('time', placeholder, '');
    this.#figure('difference', placeholder, '');
  }

  #figure(id: string, text: string, note: string, value?: number): void {
    const data = find(`#${id}`, HTMLDataElement, this.#root);
    data.textContent = text;
    data.value = value === undefined ? '' : String(value);
    find(`#${id}-note`, HTMLElement, this.#root).textContent = note;
  }
}
