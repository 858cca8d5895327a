import type { OpenDevice } from '../../device.ts';
import { find, onClick } from '../../page.ts';
import { duration, fetched, plainWords } from '../../words.ts';
import { layerToLearn, type Scale, type UpsampleLayer } from '../kernels.ts';
import type { Given } from '../picture-input.ts';
import type { Pixels } from '../pixels.ts';
import { context2d } from '../bands.ts';
import { decibels, drawCurve, levels } from './curve.ts';
import type { Errors, Learned } from './learn.ts';

/** What there is to learn from, and where. */
export interface Source {
  readonly given: Given;
  readonly pixels: Promise<Pixels>;
  readonly scale: Scale;
  readonly device: Promise<OpenDevice>;
}

interface Kept extends Learned {
  readonly from: Given;
  readonly points: readonly Errors[];
  readonly words: string;
}

/** Learns kernels, one for each scale, when it is told to, and shows how it goes. */
export class LearningPanel {
  readonly #root: HTMLElement;
  readonly #kept = new Map<Scale, Kept>();
  #running = new AbortController();
  #scale: Scale | undefined;

  /** `onLearned` is called when there is a new kernel. */
  constructor(root: HTMLElement, source: () => Source | undefined, onLearned: () => void) {
    this.#root = find('.learning', HTMLElement, root);
    onClick('.learn', this.#root, () => {
      const from = source();
      if (from) void this.#learn(from, onLearned);
    });
    onClick('.cancel-learning', this.#root, () => {
      this.cancel();
    });
  }

  /** The kernel of that scale: as learned, or as it starts. */
  layer(scale: Scale): UpsampleLayer {
    return this.#kept.get(scale)?.layer ?? layerToLearn(scale);
  }

  isLearned(scale: Scale): boolean {
    return this.#kept.has(scale);
  }

  /** Shows what is known of a scale's kernel. `given` is the picture; undefined while a video is there instead. */
  show(scale: Scale, given: Given | undefined): void {
    this.cancel();
    this.#scale = scale;
    const kept = this.#kept.get(scale);
    this.#button.disabled = given === undefined;
    const isKnown = given !== undefined && kept?.from === given;
    this.#button.textContent = isKnown ? 'Learn again' : 'Learn from this picture';
    this.#button.classList.toggle('primary', !isKnown);
    this.#write('.learn-note', note(scale, kept, given));
    this.#showKept();
    this.#root.hidden = false;
  }

  hide(): void {
    this.cancel();
    this.#root.hidden = true;
  }

  /** Ends learning, if it is under way; the kernel stays as it was before. */
  cancel(): void {
    this.#running.abort();
  }

  async #learn({ given, pixels, scale, device }: Source, onLearned: () => void): Promise<void> {
    this.#running = new AbortController();
    const { signal } = this.#running;
    const points: Errors[] = [];
    let done = '';
    this.#busy(true);
    this.#progress(0, points);
    this.#write('.learn-status', 'Learning…');
    const start = performance.now();
    try {
      const [{ learn }, opened, picture] = await Promise.all([fetched(import('./learn.ts')), device, pixels]);
      const learned = await learn({
        ...{ pixels: picture, layer: layerToLearn(scale), device: opened.device, signal },
        onProgress: (step, steps, errors) => {
          done = ` after ${step} of ${steps} steps`;
          points.push(errors);
          this.#progress(step / steps, points);
        },
      });
      const where = opened.device === 'cpu' ? 'CPU' : 'GPU';
      const words = `Learned in ${duration(performance.now() - start)} on the ${where}: ${verdict(gainOf(learned))}.`;
      this.#kept.set(scale, { ...learned, from: given, points, words });
      this.#busy(false);
      onLearned();
    } catch (error) {
      this.#busy(false);
      this.#showKept();
      this.#write(
        '.learn-status',
        signal.aborted ? `Cancelled${done}. The kernel is as it was before.` : plainWords(error),
      );
    }
  }

  #progress(part: number, points: readonly Errors[]): void {
    find('progress', HTMLProgressElement, this.#root).value = part;
    this.#reveal('.gains', false);
    this.#reveal('.curve', points.length > 1);
    drawCurve(this.#root, points, part);
  }

  #busy(isBusy: boolean): void {
    const hadFocus = this.#root.contains(document.activeElement);
    this.#reveal('.progress', isBusy);
    this.#button.hidden = isBusy;
    // The button that was pressed is gone: the other one takes its place.
    if (hadFocus) (isBusy ? find('.cancel-learning', HTMLButtonElement, this.#root) : this.#button).focus();
  }

  /** The curve and the gain of the kernel that is there, if any. */
  #showKept(): void {
    const kept = this.#scale && this.#kept.get(this.#scale);
    this.#reveal('.curve', kept !== undefined);
    this.#reveal('.gains', kept !== undefined);
    this.#write('.learn-status', kept?.words ?? '');
    if (!kept) return;
    drawCurve(this.#root, kept.points, 1);
    const { before, after, held, patch } = kept;
    const [bilinear, learned] = [decibels(before.held), decibels(after.held)];
    const gain = gainOf(kept);
    this.#figure('#bilinear-quality', bilinear.toFixed(2), bilinear);
    this.#figure('#learned-quality', learned.toFixed(2), learned);
    this.#figure('#gain', `${gain < 0 ? '−' : '+'}${Math.abs(gain).toFixed(2)}`, gain);
    const [from, to] = [before.held, after.held].map((error) => levels(error).toFixed(1));
    for (const [name, pixels] of Object.entries(patch)) {
      const { data, width, height } = pixels;
      const canvas = find(`canvas.${name}`, HTMLCanvasElement, this.#root);
      Object.assign(canvas, { width, height });
      context2d(canvas).putImageData(new ImageData(data.slice(), width), 0, 0);
    }
    this.#write(
      '.gain-note',
      `Measured on ${held} pieces that were held back. The typical error went from ${from} to ${to} of 255 levels.`,
    );
  }

  get #button(): HTMLButtonElement {
    return find('.learn', HTMLButtonElement, this.#root);
  }

  #reveal(selector: string, isShown: boolean): void {
    find(selector, HTMLElement, this.#root).hidden = !isShown;
  }

  #write(selector: string, text: string): void {
    find(selector, HTMLElement, this.#root).textContent = text;
  }

  #figure(selector: string, text: string, value: number): void {
    this.#write(selector, `${text} dB`);
    find(selector, HTMLDataElement, this.#root).value = String(value);
  }
}

/** On the patches that were held back, in decibels. */
const gainOf = ({ before, after }: Learned): number => decibels(after.held) - decibels(before.held);

const verdict = (gain: number): string =>
  `${Math.abs(gain).toFixed(2)} dB ${gain < 0 ? 'further from' : 'closer to'} the original than bilinear`;

function note(scale: Scale, kept: Kept | undefined, given: Given | undefined): string {
  if (!given) return 'A kernel is learned from a picture: keep one of the video, or choose one.';
  if (!kept)
    return `It starts as bilinear. Pieces of the picture are made ${scale} times smaller, and it learns to undo that.`;
  if (kept.from === given) return 'The picture shows it beside bilinear.';
  return `It was learned from another picture (${kept.from.name}), and may fit this one less well.`;
}
