import { find } from '../page.ts';
import { context2d } from './bands.ts';
import {
  applyView,
  constrain,
  fitView,
  fitZoom,
  panBy,
  rescale,
  zoomAt,
  zoomOf,
  type Size,
  type View,
} from './view-transform.ts';

/** Something that draws itself in picture coordinates, at `zoom` screen pixels per picture pixel. */
export interface Drawable {
  draw(context: CanvasRenderingContext2D, zoom: number): void;
}

const MAX_ZOOM = 64;
const BUTTON_STEP = 1.5;
/** In device pixels, and in CSS pixels for screens with finer ones. */
const VISIBLE_PIXEL = [4, 2.5] as const;
const KEY_PAN = 48;
const UNFINISHED = 0.3;
const DIVIDER_STEP = 2;

/** Two pictures of one size behind a divider that can be moved; both zoom and pan together. */
export class CompareView {
  /** Called whenever the zoom changes, with screen pixels per picture pixel. */
  onZoom: ((zoom: number) => void) | undefined;

  readonly #root: HTMLElement;
  readonly #divider: HTMLElement;
  readonly #context: CanvasRenderingContext2D;
  #picture: Size = { width: 1, height: 1 };
  #before: Drawable | undefined;
  #after: Drawable | undefined;
  #view: View | undefined;
  #fitted = true;
  #split = 0.5;
  #names: readonly [before: string, after: string] = ['Before', 'After'];
  #drawing = false;
  readonly #fingers = new Map<number, readonly [number, number]>();

  constructor(root: HTMLElement, signal: AbortSignal) {
    this.#root = root;
    this.#divider = find('.divider', HTMLElement, root);
    this.#context = context2d(find('canvas', HTMLCanvasElement, root));
    this.#listenToPointers();
    this.#listenToDivider();
    root.addEventListener('keydown', (event) => {
      this.#onKey(event);
    });
    root.addEventListener(
      'wheel',
      (event) => {
        this.#onWheel(event);
      },
      { passive: false },
    );
    const observer = new ResizeObserver(() => {
      this.#resize();
    });
    observer.observe(root);
    signal.addEventListener('abort', () => {
      observer.disconnect();
    });
    this.#resize();
    this.#moveDivider(this.#split);
  }

  /**
   * Shows `before` and `after` as pictures of `picture`'s size. With `keep`, they are the picture that is shown already
   * at another size, and the view stays where it is.
   */
  show(picture: Size, before: Drawable, after: Drawable, keep: boolean): void {
    const view = rescale(this.#currentView, this.#picture.width / picture.width);
    this.#picture = picture;
    this.#before = before;
    this.#after = after;
    if (keep) this.#setView(view);
    else this.fit();
  }

  /** Says what is left and right of the divider. */
  name(before: string, after: string): void {
    this.#names = [before, after];
    find('.tag-before', HTMLElement, this.#root).textContent = before;
    find('.tag-after', HTMLElement, this.#root).textContent = after;
    const [left, right] = [before.toLowerCase(), after.toLowerCase()];
    this.#divider.ariaLabel = `Divider between ${left} and ${right}`;
    this.#root.ariaLabel = `Picture, ${left} and ${right}`;
    this.#moveDivider(this.#split);
  }

  /** Draws again, soon; many calls make one drawing. */
  redraw(): void {
    if (this.#drawing) return;
    this.#drawing = true;
    requestAnimationFrame(() => {
      this.#drawing = false;
      this.#draw();
    });
  }

  fit(): void {
    this.#setView(fitView(this.#picture, this.#screen));
  }

  /** So close that pixels of that many picture pixels can be told apart, about the middle. */
  closeUp(pixel: number): void {
    const wanted = Math.max(VISIBLE_PIXEL[0], VISIBLE_PIXEL[1] * devicePixelRatio);
    this.#zoom(Math.max(1, wanted / (pixel * zoomOf(this.#currentView))));
  }

  /** One picture pixel per screen pixel, about the middle. */
  actualSize(): void {
    this.#zoom(1 / zoomOf(this.#currentView));
  }

  zoomIn(): void {
    this.#zoom(BUTTON_STEP);
  }

  zoomOut(): void {
    this.#zoom(1 / BUTTON_STEP);
  }

  get #currentView(): View {
    return (this.#view ??= fitView(this.#picture, this.#screen));
  }

  get #screen(): Size {
    return this.#context.canvas;
  }

  #zoom(factor: number, at: readonly [number, number] = [this.#screen.width / 2, this.#screen.height / 2]): void {
    const zoom = zoomOf(this.#currentView);
    const fit = fitZoom(this.#picture, this.#screen);
    const wanted = Math.min(Math.max(MAX_ZOOM, fit), Math.max(Math.min(1, fit), zoom * factor));
    this.#setView(zoomAt(this.#currentView, wanted / zoom, at));
  }

  #pan(dx: number, dy: number): void {
    this.#setView(panBy(this.#currentView, dx, dy));
  }

  #setView(view: View): void {
    this.#view = constrain(view, this.#picture, this.#screen);
    const fit = fitZoom(this.#picture, this.#screen);
    this.#fitted = Math.abs(zoomOf(this.#view) / fit - 1) < 1e-3;
    // A finger scrolls the page over the whole picture, and moves the picture once that is zoomed.
    this.#root.style.touchAction = this.#fitted ? 'pan-y' : 'none';
    this.#root.classList.toggle('zoomed', !this.#fitted);
    this.onZoom?.(zoomOf(this.#view));
    this.redraw();
  }

  #resize(): void {
    const { clientWidth, clientHeight } = this.#root;
    const { canvas } = this.#context;
    const { width, height } = canvas;
    canvas.width = Math.max(1, Math.round(clientWidth * devicePixelRatio));
    canvas.height = Math.max(1, Math.round(clientHeight * devicePixelRatio));
    // What was in the middle stays there.
    if (this.#fitted) this.fit();
    else this.#pan((canvas.width - width) / 2, (canvas.height - height) / 2);
    // A resized canvas is blank; drawing at once keeps it from flickering.
    this.#draw();
  }

  #draw(): void {
    const context = this.#context;
    const { width, height } = context.canvas;
    const view = this.#currentView;
    const at = Math.round(this.#split * width);
    context.setTransform(1, 0, 0, 1, 0, 0);
    context.clearRect(0, 0, width, height);
    const half = (drawable: Drawable | undefined, left: number, right: number): void => {
      if (!drawable) return;
      context.save();
      context.beginPath();
      context.rect(left, 0, right - left, height);
      context.clip();
      applyView(context, view);
      drawable.draw(context, zoomOf(view));
      context.restore();
    };
    half(this.#before, 0, at);
    // What is not finished yet is pale.
    context.globalAlpha = UNFINISHED;
    half(this.#before, at, width);
    context.globalAlpha = 1;
    half(this.#after, at, width);
  }

  #moveDivider(split: number): void {
    this.#split = Math.min(1, Math.max(0, split));
    const percent = Math.round(100 * this.#split);
    this.#root.style.setProperty('--split', `${100 * this.#split}%`);
    this.#divider.setAttribute('aria-valuenow', String(percent));
    const [before, after] = this.#names.map((name) => name.toLowerCase());
    this.#divider.setAttribute('aria-valuetext', `${percent} % ${before}, ${100 - percent} % ${after}`);
    this.redraw();
  }

  #listenToDivider(): void {
    const divider = this.#divider;
    divider.addEventListener('pointerdown', (event) => {
      divider.setPointerCapture(event.pointerId);
      event.stopPropagation();
    });
    divider.addEventListener('pointermove', (event) => {
      if (!divider.hasPointerCapture(event.pointerId)) return;
      const { left, width } = this.#root.getBoundingClientRect();
      this.#moveDivider((event.clientX - left) / width);
    });
    divider.addEventListener('keydown', (event) => {
      const steps: Record<string, number> = { ArrowLeft: -1, ArrowDown: -1, ArrowRight: 1, ArrowUp: 1 };
      const step = steps[event.key];
      if (step !== undefined) this.#moveDivider(this.#split + (step * DIVIDER_STEP) / 100);
      else if (event.key === 'Home') this.#moveDivider(0);
      else if (event.key === 'End') this.#moveDivider(1);
      else return;
      event.preventDefault();
      event.stopPropagation();
    });
  }

  #listenToPointers(): void {
    const root = this.#root;
    root.addEventListener('pointerdown', (event) => {
      if (event.button !== 0) return;
      root.setPointerCapture(event.pointerId);
      this.#fingers.set(event.pointerId, this.#position(event));
    });
    root.addEventListener('pointermove', (event) => {
      const before = this.#fingers.get(event.pointerId);
      if (!before) return;
      const now = this.#position(event);
      this.#fingers.set(event.pointerId, now);
      const other = [...this.#fingers].find(([id]) => id !== event.pointerId)?.[1];
      if (other) {
        const apart = ([x, y]: readonly [number, number]): number => Math.hypot(x - other[0], y - other[1]);
        this.#zoom(Math.max(1, apart(now)) / Math.max(1, apart(before)), other);
      } else {
        this.#pan(now[0] - before[0], now[1] - before[1]);
      }
    });
    const lift = (event: PointerEvent): void => {
      this.#fingers.delete(event.pointerId);
    };
    root.addEventListener('pointerup', lift);
    root.addEventListener('pointercancel', lift);
    root.addEventListener('dblclick', (event) => {
      if (this.#fitted) this.#zoom(4, this.#position(event));
      else this.fit();
    });
  }

  #onWheel(event: WheelEvent): void {
    // Otherwise a reader who scrolls past would be caught by the picture.
    if (!event.ctrlKey && !event.metaKey && !this.#root.contains(document.activeElement)) return;
    event.preventDefault();
    this.#zoom(Math.exp(-event.deltaY / (event.ctrlKey ? 100 : 400)), this.#position(event));
  }

  #onKey(event: KeyboardEvent): void {
    if (event.ctrlKey || event.metaKey || event.altKey) return;
    const actions: Record<string, () => void> = {
      ArrowLeft: () => {
        this.#pan(KEY_PAN, 0);
      },
      ArrowRight: () => {
        this.#pan(-KEY_PAN, 0);
      },
      ArrowUp: () => {
        this.#pan(0, KEY_PAN);
      },
      ArrowDown: () => {
        this.#pan(0, -KEY_PAN);
      },
      '+': () => {
        this.zoomIn();
      },
      '=': () => {
        this.zoomIn();
      },
      '-': () => {
        this.zoomOut();
      },
      '0': () => {
        this.fit();
      },
      '1': () => {
        this.actualSize();
      },
    };
    const action = actions[event.key];
    if (!action) return;
    event.preventDefault();
    action();
  }

  /** Where the pointer is, in canvas pixels. */
  #position(event: MouseEvent): readonly [number, number] {
    const { left, top } = this.#root.getBoundingClientRect();
    return [(event.clientX - left) * devicePixelRatio, (event.clientY - top) * devicePixelRatio];
  }
}
