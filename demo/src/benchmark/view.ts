import type { ViewContext } from '../view.ts';
import markup from './view.html?raw';

export function mount(root: HTMLElement, _params: URLSearchParams, _context: ViewContext): void {
  root.innerHTML = markup;
}
