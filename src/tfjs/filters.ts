/** The layers of a backend, by filter: each filter is packed once, and its packed copy is freed with it. */
import { ConvTranspose2d } from '../conv-transpose2d.ts';
import type { ConvTranspose2dOptions } from '../types.ts';
import type { Backend, TensorInfo } from './library.ts';

/**
 * Layers by a filter's `dataId` and by their options. A backend writes to a `dataId` once, and a variable that is trained
 * or assigned to takes another one, so a packed copy stays valid until the backend disposes of the `dataId`. Only a buffer that
 * the user has lent to TensorFlow.js may change: a filter in one is packed for each call.
 */
export class Filters {
  readonly backend: Backend;
  readonly #layers = new Map<object, Map<string, ConvTranspose2d>>();
  readonly #unwatch: () => void;

  constructor(backend: Backend) {
    this.backend = backend;
    // eslint-disable-next-line @typescript-eslint/unbound-method -- called with its backend below
    const { disposeData } = backend;
    const watched: Backend['disposeData'] = (dataId, force) => {
      const gone = disposeData.call(backend, dataId, force);
      if (gone) this.forget(dataId);
      return gone;
    };
    backend.disposeData = watched;
    this.#unwatch = () => {
      if (backend.disposeData === watched) backend.disposeData = disposeData;
    };
  }

  /** The layer with that filter, (height, width, output channels, input channels), its weights packed. */
  layer({ dataId, shape }: TensorInfo, options: ConvTranspose2dOptions): ConvTranspose2d {
    const ofFilter = this.#layers.get(dataId) ?? new Map<string, ConvTranspose2d>();
    this.#layers.set(dataId, ofFilter);
    const key = JSON.stringify([shape, options]);
    const { external = false, resource } = this.backend.tensorMap.get(dataId);
    const known = ofFilter.get(key);
    if (known !== undefined && !external) return known;
    const layer = known ?? this.#make(shape, options);
    layer.loadStateDict({ weight: { shape, buffer: resource as GPUBuffer } });
    ofFilter.set(key, layer);
    return layer;
  }

  #make([height, width, outChannels, inChannels]: number[], options: ConvTranspose2dOptions): ConvTranspose2d {
    const { device } = this.backend;
    return new ConvTranspose2d(inChannels!, outChannels!, [height!, width!], {
      ...options,
      weightLayout: 'HWOI',
      bias: false,
      device,
    });
  }

  /** Frees a filter's layers. */
  forget(dataId: object): void {
    for (const layer of this.#layers.get(dataId)?.values() ?? []) layer.destroy();
    this.#layers.delete(dataId);
  }

  destroy(): void {
    this.#unwatch();
    for (const dataId of [...this.#layers.keys()]) this.forget(dataId);
  }
}
