/** The words and tables of a diagnosis, plain ones first. */
import { find } from '../page.ts';
import { shown } from '../words.ts';
import type { Advice } from './advice.ts';
import { isEven, type Pattern, type Phase } from './phases.ts';
import type { State } from './state.ts';

export const percent = (value: number): string => `${value < 10 ? value.toFixed(1) : Math.round(value)} %`;
export const number = (value: number): string =>
  (Number.isInteger(value) ? String(value) : value.toFixed(3)).replace('-', '−');

/** What the eye would see, and why. */
export function verdict({ pattern, beginning }: State, phases: readonly Phase[], ripple: number): string {
  const even = isEven(pattern);
  if (ripple === 0) {
    if (phases.length === 1) return 'No checkerboard: with stride 1 all outputs are made alike.';
    return even
      ? 'No checkerboard: the weights that reach an output sum to the same everywhere.'
      : 'No checkerboard: outputs get different numbers of weights, but these weights make up for it.';
  }
  const reason = even
    ? 'Every output gets equally many weights, but their sums differ from place to place.'
    : 'Some outputs get more weights than others.';
  return `A checkerboard: ${contrast(phases)} ${reason}${even && beginning === 'random' ? ' Training may even it out, or not.' : ''}`;
}

function contrast(phases: readonly Phase[]): string {
  const sums = phases.map(({ sum }) => sum);
  const [least, most] = [Math.min(...sums), Math.max(...sums)];
  if (least > 0) return `the lightest outputs are ${Number((most / least).toPrecision(2))} times the darkest.`;
  if (least === 0 && most > 0) return 'some outputs get nothing at all.';
  return `over the same input, outputs range from ${number(least)} to ${number(most)}.`;
}

/** Each phase with its weights and their sum, as a number and as a bar. */
export function phaseRows(phases: readonly Phase[]): HTMLTableRowElement[] {
  const largest = Math.max(...phases.map(({ sum }) => Math.abs(sum))) || 1;
  return phases.map(({ phase, taps, sum }) => {
    const row = document.createElement('tr');
    for (const text of [`(${phase[0]}, ${phase[1]})`, `${taps[0]} × ${taps[1]}`, number(sum)]) {
      const cell = document.createElement('td');
      cell.textContent = text;
      row.append(cell);
    }
    const bar = document.createElement('td');
    bar.className = 'bar';
    const fill = document.createElement('span');
    fill.className = sum < 0 ? 'negative' : '';
    fill.style.width = `${(100 * Math.abs(sum)) / largest}%`;
    bar.append(fill);
    row.append(bar);
    return row;
  });
}

export function tellAdvice(
  root: HTMLElement,
  pattern: Pattern,
  advice: readonly Advice[],
  take: (pattern: Pattern) => void,
): void {
  const text = isEven(pattern)
    ? `This layer’s shape is even: ${evenWords(pattern)} Only its weights can ripple, and they need not if they begin well.`
    : advice.length > 0
      ? 'A kernel that is a multiple of the stride reaches every output with equally many weights. The nearest ways there:'
      : 'Within these bounds no single change makes the shape even; a stride of 1 always does.';
  find('.advice-text', HTMLElement, root).textContent = text;
  const items = advice.map((each) => {
    const item = document.createElement('li');
    const button = document.createElement('button');
    button.type = 'button';
    button.textContent = 'Try';
    button.setAttribute('aria-label', `Try: ${each.text}`);
    button.addEventListener('click', () => {
      take(each.pattern);
    });
    item.append(button, each.text);
    return item;
  });
  find('.advice', HTMLElement, root).replaceChildren(...items);
}

const evenWords = ({ kernel, stride }: Pattern): string =>
  stride[0] === 1 && stride[1] === 1
    ? 'with stride 1 every output gets all weights.'
    : `kernel ${shown(kernel)} is a multiple of stride ${shown(stride)}, and every output gets equally many weights.`;
