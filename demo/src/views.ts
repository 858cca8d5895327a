import type { Mount } from './view.ts';

export interface ViewEntry {
  /** Its name in the address. */
  readonly id: string;
  /** Its name in the navigation. */
  readonly name: string;
  /** The page's title while it is open. */
  readonly title: string;
  readonly load: () => Promise<{ readonly mount: Mount }>;
}

/** In the order of the navigation; the first is the one that an address without a view means. */
export const VIEWS: readonly [ViewEntry, ...ViewEntry[]] = [
  {
    id: 'upsample',
    name: 'Upsample',
    title: 'Upsample a picture',
    load: () => import('./upsample/view.ts'),
  },
  {
    id: 'explore',
    name: 'Explore',
    title: 'How a transposed convolution works',
    load: () => import('./explore/view.ts'),
  },
  {
    id: 'diagnose',
    name: 'Diagnose',
    title: 'Where checkerboards come from',
    load: () => import('./diagnose/view.ts'),
  },
  {
    id: 'benchmark',
    name: 'Benchmark',
    title: 'How fast it is here',
    load: () => import('./benchmark/view.ts'),
  },
];
