import type { Layer } from '../../../bench/layer.ts';
import { find } from '../page.ts';
import { duration } from '../words.ts';
import { describeLayer, titleOf } from './layers.ts';
import type { Kind, Row } from './rows.ts';

/** Two digits tell enough, and beyond the second decimal nothing does. */
const rate = (gflops: number): string => gflops.toFixed(gflops < 1 ? 2 : gflops < 10 ? 1 : 0);

export const NAMES: Readonly<Record<Kind, string>> = { gpu: 'GPU', cpu: 'CPU' };

/** The table of layers, a bar for each device; bars share one scale, which grows with the fastest. */
export class Chart {
  readonly #body: HTMLTableSectionElement;
  readonly #bars = new Map<HTMLElement, number>();

  constructor(root: HTMLElement) {
    this.#body = find('tbody', HTMLTableSectionElement, root);
  }

  /** Begins anew: every layer and device waits. */
  clear(layers: readonly Layer[], kinds: readonly Kind[]): void {
    this.#bars.clear();
    this.#body.replaceChildren(
      ...layers.map((layer) => {
        const row = document.createElement('tr');
        row.dataset['layer'] = layer.name;
        const head = document.createElement('th');
        head.scope = 'row';
        head.append(titleOf(layer), element('span', 'note', describeLayer(layer)));
        const cell = document.createElement('td');
        cell.append(...kinds.map(emptyLine));
        row.append(head, cell);
        return row;
      }),
    );
  }

  running(layer: string, kind: Kind): void {
    this.#write(layer, kind, 'running…', '');
  }

  show(row: Row): void {
    const { layer, device, measured, error } = row;
    if (!measured) {
      this.#write(layer, device, '–', error ?? 'not measured');
      return;
    }
    const line = this.#write(
      layer,
      device,
      duration(measured.medianMs),
      `${rate(measured.gflops)} billion a second`,
      measured.medianMs,
    );
    this.#bars.set(find('.bar', HTMLElement, line), measured.gflops);
    const longest = Math.max(...this.#bars.values());
    for (const [bar, gflops] of this.#bars) bar.style.setProperty('--part', String(gflops / longest));
  }

  /** What was not reached when the measurement ended waits no longer. */
  stop(): void {
    for (const time of this.#body.querySelectorAll('.time:not([value])')) time.textContent = '–';
  }

  #write(layer: string, kind: Kind, time: string, rate: string, value?: number): HTMLElement {
    const line = find(`[data-layer="${layer}"] [data-device=${kind}]`, HTMLElement, this.#body);
    const data = find('.time', HTMLDataElement, line);
    data.textContent = time;
    if (value !== undefined) data.value = String(value);
    find('.rate', HTMLElement, line).textContent = rate;
    return line;
  }
}

function emptyLine(kind: Kind): HTMLElement {
  const line = element('p', `line ${kind}`, '');
  line.dataset['device'] = kind;
  const track = element('span', 'track', '');
  track.ariaHidden = 'true';
  track.append(element('span', 'bar', ''));
  line.append(
    element('span', 'kind', NAMES[kind]),
    ' ',
    track,
    element('data', 'time', 'waits'),
    ' ',
    element('span', 'rate', ''),
  );
  return line;
}

function element(name: string, className: string, text: string): HTMLElement {
  const made = document.createElement(name);
  made.className = className;
  made.textContent = text;
  return made;
}
