import { find, onClick } from '../page.ts';
import type { CompareView } from './compare-view.ts';

/** Has the buttons below the picture zoom it, and says how much it is. */
export function watchToolbar(root: HTMLElement, compare: CompareView): void {
  const zoom = find('.zoom', HTMLOutputElement, root);
  compare.onZoom = (factor) => {
    zoom.value = `${Math.round(100 * factor)} %`;
  };
  const actions = { in: 'zoomIn', out: 'zoomOut', fit: 'fit', actual: 'actualSize' } as const;
  for (const [name, action] of Object.entries(actions)) {
    onClick(`[data-zoom=${name}]`, root, () => {
      compare[action]();
    });
  }
}
