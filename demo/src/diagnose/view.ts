import { readDevice, type DeviceChoice } from '../device.ts';
import { Grid } from '../grid.ts';
import { find, onClick } from '../page.ts';
import { PairControls } from '../pair-controls.ts';
import { Palette } from '../palette.ts';
import type { ViewContext } from '../view.ts';
import { advise } from './advice.ts';
import { codeFor } from './code.ts';
import { flatOutput, sumsOverFlat } from './flat.ts';
import { overlapOf } from './overlap.ts';
import { phasesOf, ripple, type Phase } from './phases.ts';
import { paintShades, shadeOf } from './shades.ts';
import { BOUNDS, drawnAgain, FIELDS, readState, writeState, type Parameter, type State } from './state.ts';
import { Surface } from './surface.ts';
import { percent, phaseRows, tellAdvice, verdict } from './telling.ts';
import './view.css';
import markup from './view.html?raw';
import { BEGINNINGS, drawWeights } from './weights.ts';

export function mount(root: HTMLElement, params: URLSearchParams, context: ViewContext): Promise<void> {
  root.innerHTML = markup;
  return new DiagnoseView(root, readState(params), readDevice(params), context).show();
}

class DiagnoseView {
  readonly #root: HTMLElement;
  readonly #context: ViewContext;
  readonly #device: DeviceChoice;
  readonly #controls: PairControls<Parameter>;
  readonly #overlap: Grid;
  readonly #surface: Surface;
  #state: State;
  #running = new AbortController();

  constructor(root: HTMLElement, state: State, device: DeviceChoice, context: ViewContext) {
    this.#root = root;
    this.#state = state;
    this.#device = device;
    this.#context = context;
    this.#controls = new PairControls(find('.layer', HTMLElement, root), FIELDS, (name, value) => {
      const { pattern } = this.#state;
      this.#change({ ...this.#state, pattern: { ...pattern, [name]: value } });
    });
    const redraw = (): void => {
      this.#drawOverlap();
      this.#surface.redraw();
    };
    this.#overlap = new Grid(find('.overlap', HTMLElement, root), new Palette(root, redraw, context.signal), {
      mostCell: 26,
      mostHeight: 200,
    });
    const holder = find('.surface', HTMLElement, root);
    this.#surface = new Surface(holder, find('canvas', HTMLCanvasElement, holder), context.signal);
    root.addEventListener('change', ({ target }) => {
      if (!(target instanceof HTMLInputElement) || target.name !== 'weights') return;
      const beginning = BEGINNINGS.find((each) => each === target.value);
      if (beginning) this.#change({ ...this.#state, beginning });
    });
    onClick('.again', root, () => {
      this.#change(drawnAgain(this.#state));
    });
    const observer = new ResizeObserver(redraw);
    observer.observe(find('.stage', HTMLElement, root));
    context.signal.addEventListener('abort', () => {
      observer.disconnect();
      this.#running.abort();
    });
  }

  /** Tells of the layer at once, and shows what it computes when it has. A later call supersedes it. */
  async show(): Promise<void> {
    this.#running.abort();
    this.#running = new AbortController();
    const { signal } = this.#running;
    const { pattern, beginning, seed } = this.#state;
    const stage = find('.stage', HTMLElement, this.#root);
    stage.setAttribute('aria-busy', 'true');
    try {
      const drawn = await Promise.all(
        BEGINNINGS.map(async (each) => ({ beginning: each, weights: await drawWeights(pattern, each, seed) })),
      );
      signal.throwIfAborted();
      for (const { beginning: each, weights } of drawn) {
        this.#tellRipple(`.ripple-${each}`, ripple(phasesOf(pattern, weights)));
      }
      const { weights } = drawn.find((each) => each.beginning === beginning)!;
      const phases = phasesOf(pattern, weights);
      this.#tell(phases);
      await this.#compute(phases, weights, signal);
      if (!signal.aborted) stage.setAttribute('aria-busy', 'false');
    } catch (error) {
      if (!signal.aborted) this.#context.problem(error, () => void this.show());
    }
  }

  /** Has the layer compute; where it cannot, the pictures are of the sums that it would have made. */
  async #compute(phases: readonly Phase[], weights: readonly number[], signal: AbortSignal): Promise<void> {
    const { pattern } = this.#state;
    try {
      const { device, name, note } = await this.#context.devices.open(this.#device);
      const values = await flatOutput(pattern, weights, device, signal);
      // The device may not have noticed in time.
      signal.throwIfAborted();
      this.#draw(values, phases, `the layer, on the ${name}`, note);
    } catch (error) {
      if (signal.aborted) return;
      const note = 'No layer ran: these are the sums of the weights in the table below.';
      this.#draw(sumsOverFlat(pattern, phases), phases, 'this page', note);
      this.#context.problem(error, () => void this.show());
    }
  }

  /** Shows outputs over the flat input, and what made them. */
  #draw(values: ArrayLike<number>, phases: readonly Phase[], madeBy: string, note: string): void {
    find('.made-by', HTMLElement, this.#root).textContent = madeBy;
    find('.made-note', HTMLElement, this.#root).textContent = note;
    const shade = shadeOf(phases);
    paintShades(find('.shades', HTMLCanvasElement, this.#root), values, shade);
    this.#surface.show(values, shade);
  }

  #change(state: State): void {
    this.#state = state;
    this.#context.setParams(writeState(state));
    void this.show();
  }

  #tell(phases: readonly Phase[]): void {
    const { pattern, beginning } = this.#state;
    const root = this.#root;
    const value = ripple(phases);
    this.#controls.set(pattern);
    find(`input[name=weights][value=${beginning}]`, HTMLInputElement, root).checked = true;
    find('.verdict', HTMLElement, root).textContent = verdict(this.#state, phases, value);
    this.#tellRipple('.ripple', value);
    find('.phases tbody', HTMLElement, root).replaceChildren(...phaseRows(phases));
    tellAdvice(root, pattern, advise(pattern, BOUNDS), (taken) => {
      this.#change({ ...this.#state, pattern: taken });
    });
    find('.code-text', HTMLElement, root).textContent = codeFor(pattern, beginning);
    this.#drawOverlap();
  }

  #tellRipple(selector: string, value: number): void {
    const element = find(selector, HTMLDataElement, this.#root);
    element.value = String(value);
    element.textContent = value === 0 ? 'none' : percent(value);
  }

  #drawOverlap(): void {
    const { kernel, stride, dilation } = this.#state.pattern;
    const { look, counts } = overlapOf(kernel[1], stride[1], dilation[1]);
    this.#overlap.draw(look, `Weights per output along a row: ${counts.join(', ')}`);
    find('.why-stride', HTMLElement, this.#root).textContent =
      stride[1] === 1 ? 'stride of 1 cell' : `stride of ${stride[1]} cells`;
  }
}
