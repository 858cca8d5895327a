import { version } from '../../../package.json';
import type { Layer } from '../../../bench/layer.ts';
import { geometricMean } from '../../../bench/measure/statistics.ts';
import type { Measured } from './measure.ts';

export type Kind = 'gpu' | 'cpu';

/** A layer on a device: its times, or what went wrong. */
export interface Row {
  readonly layer: string;
  readonly device: Kind;
  /** The name that the adapter gives, or 'CPU'. */
  readonly adapter: string;
  readonly measured?: Measured;
  readonly error?: string;
}

/** As many as the library takes at most (docs/cpu.md). */
export const threads = (): number => (crossOriginIsolated ? Math.min(8, navigator.hardwareConcurrency) : 1);

/** The rows as a file for people who compare machines. Shapes are added, so that it can be read by itself. */
export function toJson(rows: readonly Row[], layers: readonly Layer[], when: Date): string {
  const content = {
    library: `webgpu-conv-transpose2d ${version}`,
    date: when.toISOString(),
    browser: navigator.userAgent,
    threads: threads(),
    rows: rows.map(({ layer, measured, ...row }) => ({
      ...layers.find(({ name }) => name === layer),
      ...row,
      ...measured,
    })),
  };
  return JSON.stringify(content, null, 2);
}

/** How many times as fast the GPU is, in the geometric mean over layers that ran on both; nothing where none did. */
export function speedup(rows: readonly Row[]): number | undefined {
  const time = (layer: string, kind: Kind): number | undefined =>
    rows.find((row) => row.layer === layer && row.device === kind)?.measured?.medianMs;
  const ratios = [...new Set(rows.map(({ layer }) => layer))].flatMap((layer) => {
    const [gpu, cpu] = [time(layer, 'gpu'), time(layer, 'cpu')];
    return gpu !== undefined && cpu !== undefined ? [cpu / gpu] : [];
  });
  return ratios.length > 0 ? geometricMean(ratios) : undefined;
}
