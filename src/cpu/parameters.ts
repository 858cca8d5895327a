/** A layer's parameters, packed for whoever computes with them. */
import { packWeight } from '../packing.ts';
import type { Spec } from '../options.ts';
import { toFloat32Array } from '../tensors.ts';
import type { StateDict } from '../types.ts';
import type { Engine } from './engine.ts';
import { packForWasm } from './wasm-pack.ts';

/** For `runPlain`. */
export interface PlainParameters {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

/** One state of a layer: packed once for each engine that needs it, and kept there until nobody uses it any more. */
export class Parameters {
  readonly #spec: Spec;
  readonly #state: StateDict;
  readonly #loaded = new Map<Engine, Promise<number | undefined>>();
  #plain: PlainParameters | undefined;
  /** The layer, and its calls under way. */
  #users = 1;

  constructor(spec: Spec, state: StateDict) {
    this.#spec = spec;
    this.#state = state;
  }

  /**
   * Where the engine has them; undefined when some weights are not finite, which only the plain path computes as it should.
   * @throws ConvTranspose2dError OUT_OF_MEMORY
   */
  on(engine: Engine): Promise<number | undefined> {
    for (const known of this.#loaded.keys()) if (known.dead) this.#loaded.delete(known);
    let loaded = this.#loaded.get(engine);
    if (loaded === undefined) {
      loaded = this.#load(engine);
      this.#loaded.set(engine, loaded);
      // The next call may have better luck.
      loaded.catch(() => this.#loaded.delete(engine));
    }
    return loaded;
  }

  plain(): PlainParameters {
    const { weight, bias } = this.#state;
    this.#plain ??= {
      weight: packWeight(this.#spec, toFloat32Array(weight)),
      bias: bias === undefined ? new Float32Array(this.#spec.outChannels) : toFloat32Array(bias),
    };
    return this.#plain;
  }

  retain(): void {
    this.#users++;
  }

  release(): void {
    this.#users--;
    if (this.#users > 0) return;
    for (const [engine, loaded] of this.#loaded) {
      loaded.then(
        (address) => {
          if (address !== undefined) engine.unload(address);
        },
        () => undefined,
      );
    }
    this.#loaded.clear();
  }

  async #load(engine: Engine): Promise<number | undefined> {
    const { weight, bias } = this.#state;
    const packed = packForWasm(this.#spec, toFloat32Array(weight), bias && toFloat32Array(bias));
    return packed && engine.load(packed);
  }
}
