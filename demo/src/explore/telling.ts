/** The words and tables beside the grids. */
import { find } from '../page.ts';
import { codeFor } from './code.ts';
import { axisOf, outputSize, sizeFormula, type Layer, type Size } from './layer.ts';
import type { Scene } from './scene.ts';
import type { Term } from './sums.ts';

const signed = (value: number): string => String(value).replace('-', '−');
const factor = (value: number): string => (value < 0 ? `(${signed(value)})` : String(value));
const where = ([y, x]: Size): string => `(${y}, ${x})`;

/** One output: its sum, its phase and its terms. */
export function tellOutput(root: HTMLElement, { gathered, state }: Scene): void {
  const { output, phase, terms, sum } = gathered;
  const { layer } = state;
  const inside = terms.filter((term) => term.inside);
  const products = inside.map(({ weight, pixel }) => `${factor(weight)} × ${factor(pixel)}`).join(' + ');
  const sumText = inside.length === 0 ? 'No input reaches it, so it is 0.' : `${products} = ${signed(sum)}`;
  find('#one-title', HTMLElement, root).textContent = `Output ${where(output)}, in numbers`;
  find('.one-sum', HTMLElement, root).textContent = sumText;
  find('.one-phase', HTMLElement, root).textContent = phaseText(layer, output, phase, terms);
  const rows = terms.map((term) => {
    const row = document.createElement('tr');
    row.className = term.inside ? '' : 'outside';
    const cells = [
      where(term.tap),
      signed(term.weight),
      term.inside ? where(term.input) : 'outside',
      signed(term.pixel),
      signed(term.weight * term.pixel),
    ];
    row.append(...cells.map(cell));
    return row;
  });
  const last = document.createElement('tr');
  last.className = 'sum';
  const head = document.createElement('th');
  head.scope = 'row';
  head.colSpan = 4;
  head.textContent = 'Sum';
  last.append(head, cell(signed(sum)));
  find('.terms tbody', HTMLElement, root).replaceChildren(...rows, last);
}

/** What a screen reader is told of an output when it is gone to. */
export function spoken({ gathered: { output, phase, terms, sum } }: Scene): string {
  const inside = terms.filter((term) => term.inside);
  const from = inside.map(({ weight, pixel }) => `${weight} times ${pixel}`).join(', ');
  return `Output row ${output[0]}, column ${output[1]}: ${sum}. ${from && `From ${from}. `}Phase ${phase[0]}, ${phase[1]}.`;
}

function cell(text: string): HTMLTableCellElement {
  const element = document.createElement('td');
  element.textContent = text;
  return element;
}

function phaseText({ padding, stride }: Layer, output: Size, phase: Size, terms: readonly Term[]): string {
  const rows = new Set(terms.map(({ tap }) => tap[0])).size;
  const columns = new Set(terms.map(({ tap }) => tap[1])).size;
  const reached =
    terms.length === 0
      ? 'No weight of the kernel reaches outputs of this phase.'
      : `Outputs of one phase, marked by a dot, all use the same ${rows} × ${columns} weights.`;
  if (stride[0] === 1 && stride[1] === 1) return `With stride 1 there is one phase: every output uses all weights.`;
  const along = (name: string, axis: 0 | 1): string =>
    `${name} (${output[axis]} + padding ${padding[axis]}) mod stride ${stride[axis]} = ${phase[axis]}`;
  return `Its phase, the place within a stride, is ${where(phase)}: ${along('row', 0)}, ${along('column', 1)}. ${reached}`;
}

export function tellSizes(root: HTMLElement, layer: Layer): void {
  find('.input-size', HTMLElement, root).textContent = sizeText(layer.input);
  find('.kernel-size', HTMLElement, root).textContent = sizeText(layer.kernel);
  find('.formula-height', HTMLElement, root).textContent = sizeFormula(axisOf(layer, 0));
  find('.formula-width', HTMLElement, root).textContent = sizeFormula(axisOf(layer, 1));
}

export const sizeText = ([height, width]: Size): string => `${height} × ${width}`;

/** A grid of numbers in one line, row after row. */
export const rowsText = (values: readonly number[], [height, width]: Size): string =>
  Array.from({ length: height }, (_, y) => values.slice(y * width, (y + 1) * width).join(' ')).join('; ');

export function tellCode(root: HTMLElement, { state: { layer, library } }: Scene): void {
  const { text, note } = codeFor(library, layer);
  const code = find('.code-text', HTMLElement, root);
  code.textContent = text;
  code.parentElement!.hidden = text === '';
  find('.code-note', HTMLElement, root).textContent = note;
}

/** Every output as a table, for those who do not see the grids. */
export function outputTable(layer: Layer, outputs: readonly number[]): HTMLTableElement {
  const [height, width] = outputSize(layer);
  const table = document.createElement('table');
  const heading = (text: string, scope: 'col' | 'row'): HTMLTableCellElement => {
    const element = document.createElement('th');
    element.scope = scope;
    element.textContent = text;
    return element;
  };
  const head = table.createTHead().insertRow();
  head.append(document.createElement('td'), ...Array.from({ length: width }, (_, x) => heading(String(x), 'col')));
  const body = table.createTBody();
  for (let y = 0; y < height; y++) {
    body
      .insertRow()
      .append(
        heading(String(y), 'row'),
        ...outputs.slice(y * width, (y + 1) * width).map((value) => cell(signed(value))),
      );
  }
  table.caption = table.createCaption();
  table.caption.className = 'note';
  table.caption.textContent = `Output, ${sizeText([height, width])}: rows down, columns across, counted from 0`;
  return table;
}
