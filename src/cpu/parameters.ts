/** A layer's parameters, packed for each engine that computes with them. */
import type { Spec } from '../options.ts';
import type { Engine } from './engine.ts';
import { floatsOf } from './floats.ts';
import { inSlices } from './slices.ts';
import type { LoadedState } from './state.ts';
import { packForWasm } from './wasm-pack.ts';

/** As `runPlain` takes them: in their own layout, as float32. */
export interface PlainParameters {
  readonly weight: Float32Array;
  readonly bias: Float32Array;
}

/** The parameters of one `loadStateDict`: packed once for each engine that needs them, and kept there while anyone uses them. */
export class Parameters {
  readonly state: LoadedState;
  readonly #spec: Spec;
  readonly #loaded = new Map<Engine, Promise<number>>();
  #plain: Promise<PlainParameters> | undefined;
  /** Counts the layer and its running calls. */
  #users = 1;

  constructor(spec: Spec, state: LoadedState) {
    this.#spec = spec;
    this.state = state;
  }

  /**
   * The engine's handle of them.
   * @throws ConvTranspose2dError OUT_OF_MEMORY
   */
  on(engine: Engine): Promise<number> {
    for (const known of this.#loaded.keys()) if (known.dead) this.#loaded.delete(known);
    let loaded = this.#loaded.get(engine);
    if (loaded === undefined) {
      loaded = this.#load(engine);
      this.#loaded.set(engine, loaded);
      // Forgotten, so that the next call tries again.
      loaded.catch(() => this.#loaded.delete(engine));
    }
    return loaded;
  }

  plain(): Promise<PlainParameters> {
    return (this.#plain ??= this.#expand());
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
          engine.unload(address);
        },
        () => undefined,
      );
    }
    this.#loaded.clear();
  }

  async #load(engine: Engine): Promise<number> {
    const { weight, bias } = await this.#expand();
    return engine.load(await inSlices(packForWasm(this.#spec, weight, bias)));
  }

  async #expand(): Promise<PlainParameters> {
    const { weight, bias } = this.state;
    return {
      weight: await floatsOf(weight.data),
      bias: bias === undefined ? new Float32Array(this.#spec.outChannels) : await floatsOf(bias.data),
    };
  }
}
