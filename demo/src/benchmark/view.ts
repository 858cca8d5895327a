import { makingProblem, type Layer } from '../../../bench/layer.ts';
import { readChoice } from '../address.ts';
import { DEVICE_CHOICES, readDevice, type DeviceChoice, type OpenDevice } from '../device.ts';
import { find, onClick } from '../page.ts';
import { saveAs } from '../save.ts';
import type { ViewContext } from '../view.ts';
import { plainWords } from '../words.ts';
import { inPieces } from '../work.ts';
import { Chart, NAMES } from './chart.ts';
import { CHECKED } from './check.ts';
import { LAYERS, select, SELECTIONS, titleOf, type Selection } from './layers.ts';
import { measure } from './measure.ts';
import { speedup, threads, toJson, type Kind, type Row } from './rows.ts';
import { makeRunner } from './runner.ts';
import './view.css';
import markup from './view.html?raw';

export async function mount(root: HTMLElement, params: URLSearchParams, context: ViewContext): Promise<void> {
  root.innerHTML = markup;
  await new BenchmarkView(root, params, context).showLayers();
}

class BenchmarkView {
  readonly #root: HTMLElement;
  readonly #context: ViewContext;
  readonly #chart: Chart;
  #device: DeviceChoice;
  #selection: Selection;
  #rows: Row[] = [];
  #running: AbortController | undefined;

  constructor(root: HTMLElement, params: URLSearchParams, context: ViewContext) {
    this.#root = root;
    this.#context = context;
    this.#chart = new Chart(root);
    this.#device = readDevice(params);
    this.#selection = readChoice(params, 'layers', SELECTIONS, 'all');
    const form = find('.controls', HTMLFormElement, root);
    this.#showThreads();
    find(`[name=device][value=${this.#device}]`, HTMLInputElement, form).checked = true;
    find(`[name=layers][value=${this.#selection}]`, HTMLInputElement, form).checked = true;
    form.addEventListener('change', ({ target }) => {
      if (target instanceof HTMLInputElement) this.#choose(target);
    });
    form.addEventListener('submit', (event) => {
      event.preventDefault();
      void this.#measure();
    });
    onClick('.cancel', root, () => this.#running?.abort());
    onClick('.copy', root, () => void this.#copy());
    onClick('.download', root, () => {
      saveAs(new Blob([this.#json()], { type: 'application/json' }), 'conv-transpose2d-benchmark.json');
    });
    context.signal.addEventListener('abort', () => this.#running?.abort());
  }

  /** What would run, before anything does. */
  async showLayers(): Promise<void> {
    this.#summarize();
    let kinds: readonly Kind[] = ['gpu'];
    try {
      kinds = await this.#kinds();
    } catch (error) {
      this.#figure('adapter', 'None', plainWords(error));
    }
    if (this.#running) return;
    find('.together', HTMLElement, this.#root).hidden = kinds.length < 2;
    this.#chart.clear(select(this.#selection), kinds);
    this.#chart.stop();
  }

  #choose({ name, value }: HTMLInputElement): void {
    if (name === 'device') this.#device = DEVICE_CHOICES.find((each) => each === value) ?? 'auto';
    if (name === 'layers') this.#selection = SELECTIONS.find((each) => each === value) ?? 'all';
    this.#context.setParams({
      device: this.#device === 'auto' ? null : this.#device,
      layers: this.#selection === 'all' ? null : this.#selection,
    });
    this.#running?.abort();
    this.#running = undefined;
    this.#busy(false);
    this.#rows = [];
    this.#say('');
    void this.showLayers();
  }

  /** Which devices a measurement uses. A GPU that the processor imitates tells nothing, unless it is asked for. */
  async #kinds(): Promise<readonly Kind[]> {
    if (this.#device === 'cpu') {
      this.#figure('adapter', 'Not asked for', '');
      return ['cpu'];
    }
    const opened = await this.#context.devices.open(this.#device);
    this.#showAdapter(opened);
    if (this.#device === 'webgpu') return ['gpu'];
    return opened.device === 'cpu' ? ['cpu'] : ['gpu', 'cpu'];
  }

  async #measure(): Promise<void> {
    this.#running?.abort();
    const running = new AbortController();
    this.#running = running;
    const { signal } = running;
    const layers = select(this.#selection);
    this.#rows = [];
    this.#summarize();
    this.#busy(true);
    try {
      const kinds = await this.#kinds();
      this.#chart.clear(layers, kinds);
      const runs = layers.flatMap((layer) => kinds.map((kind) => ({ layer, kind })));
      for (const [index, { layer, kind }] of runs.entries()) {
        signal.throwIfAborted();
        this.#progress(index / runs.length, `${titleOf(layer)} on the ${NAMES[kind]}`);
        this.#chart.running(layer.name, kind);
        const row = await this.#measureOne(layer, kind, signal);
        signal.throwIfAborted();
        this.#rows.push(row);
        this.#chart.show(row);
        this.#summarize();
      }
      this.#say(`Done: ${layers.length} layers measured.`);
    } catch (error) {
      if (this.#running !== running || this.#context.signal.aborted) return;
      if (signal.aborted) this.#say('Cancelled. What was measured until then is shown.');
      else {
        this.#say('');
        this.#context.problem(error, () => void this.#measure());
      }
    }
    this.#chart.stop();
    this.#busy(false);
    this.#running = undefined;
  }

  /** Measures a layer; where the GPU is lost meanwhile, once more on a new one. What fails is told in its row. */
  async #measureOne(layer: Layer, kind: Kind, signal: AbortSignal, again = false): Promise<Row> {
    let adapter = NAMES[kind];
    try {
      const opened = await this.#context.devices.open(kind === 'cpu' ? 'cpu' : this.#device);
      adapter = opened.name;
      const problem = await inPieces(makingProblem(layer));
      const runner = await makeRunner(problem, opened.device, signal);
      try {
        return { layer: layer.name, device: kind, adapter, measured: await measure(problem, runner, signal) };
      } finally {
        runner.destroy();
      }
    } catch (error) {
      signal.throwIfAborted();
      const lost = error instanceof Error && 'code' in error && error.code === 'DEVICE_LOST';
      if (lost && !again) return this.#measureOne(layer, kind, signal, true);
      return { layer: layer.name, device: kind, adapter, error: plainWords(error) };
    }
  }

  #showAdapter({ device, name, note }: OpenDevice): void {
    if (device === 'cpu') this.#figure('adapter', 'None', note);
    else this.#figure('adapter', name, note);
  }

  #showThreads(): void {
    const count = threads();
    const note = crossOriginIsolated ? '' : 'Browsers let a page use more only where it is cross-origin isolated.';
    this.#figure('threads', count === 1 ? '1 thread' : `Up to ${count} threads`, note, count);
  }

  #summarize(): void {
    const ratio = speedup(this.#rows);
    if (ratio === undefined) this.#figure('speedup', '–', 'How much faster one is than the other, once both have run.');
    else {
      const [faster, slower] = ratio >= 1 ? ['GPU', 'CPU'] : ['CPU', 'GPU'];
      const times = Math.max(ratio, 1 / ratio);
      const text = `${faster} ${times.toFixed(times < 10 ? 1 : 0)} times as fast`;
      this.#figure('speedup', text, `As the ${slower}, in the mean (geometric) of the layers that ran on both.`, ratio);
    }
    const measured = this.#rows.flatMap((row) => row.measured ?? []);
    const right = measured.filter((each) => each.right).length;
    this.#figure(
      'right',
      measured.length === 0 ? '–' : `${right} of ${measured.length}`,
      `${CHECKED} numbers of each result are computed again in 64-bit arithmetic. Right are those that differ by no more than rounding explains.`,
      measured.length === 0 ? undefined : right,
    );
    for (const selector of ['.copy', '.download']) {
      find(selector, HTMLButtonElement, this.#root).disabled = this.#rows.length === 0;
    }
  }

  #json(): string {
    return toJson(this.#rows, LAYERS, new Date());
  }

  async #copy(): Promise<void> {
    const note = find('#hand-out-note', HTMLElement, this.#root);
    try {
      await navigator.clipboard.writeText(this.#json());
      note.textContent = `Copied: ${this.#rows.length} rows.`;
    } catch {
      note.textContent = 'The browser did not let the page copy. Downloading works.';
    }
  }

  #busy(busy: boolean): void {
    const start = find('.start', HTMLButtonElement, this.#root);
    const cancel = find('.cancel', HTMLButtonElement, this.#root);
    const hadFocus = [start, cancel].some((button) => button === document.activeElement);
    find('.results', HTMLElement, this.#root).setAttribute('aria-busy', String(busy));
    find('.progress', HTMLElement, this.#root).hidden = !busy;
    start.disabled = busy;
    // The button that was pressed can be pressed no more: the other one takes its place.
    if (hadFocus) (busy ? cancel : start).focus({ preventScroll: true });
  }

  #progress(part: number, what: string): void {
    find('progress', HTMLProgressElement, this.#root).value = part;
    this.#say(`Measuring: ${what}.`);
  }

  #say(text: string): void {
    find('.status', HTMLElement, this.#root).textContent = text;
  }

  #figure(id: string, text: string, note: string, value?: number): void {
    const data = find(`#${id}`, HTMLDataElement, this.#root);
    data.textContent = text;
    data.value = value === undefined ? '' : String(value);
    find(`#${id}-note`, HTMLElement, this.#root).textContent = note;
  }
}
