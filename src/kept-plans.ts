/** The plans of a layer, by shape: those used last. */
import type { Capabilities } from './capabilities.ts';
import { sameShape } from './check-tensors.ts';
import { shapeOfOutput, type Spec } from './options.ts';
import { KEPT_PLANS, planLayer, type LayerPlan } from './plan.ts';
import type { Pair } from './types.ts';

export class KeptPlans {
  readonly #spec: Spec;
  readonly #capabilities: Capabilities;
  /** Called with each plan that is dropped. */
  readonly #onDropped: (layerPlan: LayerPlan) => void;
  readonly #plans = new Map<string, LayerPlan>();
  /** The plan used last: a layer is mostly called with one shape. */
  #recent: { readonly inputShape: readonly number[]; readonly plan: LayerPlan } | undefined;
  /** How many kernels were set aside when the plans were made. */
  #setAside = 0;

  constructor(spec: Spec, capabilities: Capabilities, onDropped: (layerPlan: LayerPlan) => void) {
    this.#spec = spec;
    this.#capabilities = capabilities;
    this.#onDropped = onDropped;
  }

  /** The plan of a call. @throws ConvTranspose2dError INVALID_ARGUMENT, UNSUPPORTED, GPU_ERROR */
  of(inputShape: readonly number[], outputSize: Pair | undefined): LayerPlan {
    this.#dropIfSetAside();
    const recent = this.#recent;
    const isRecent = recent !== undefined && outputSize === undefined && Array.isArray(inputShape);
    if (isRecent && sameShape(recent.inputShape, inputShape)) return recent.plan;
    // Checked before the look-up: something else, such as strings, may print like a known shape.
    const outputShape = shapeOfOutput(this.#spec, inputShape, outputSize);
    const key = `${String(inputShape)}|${String(outputShape)}`;
    const plan = this.#plans.get(key) ?? planLayer(this.#spec, inputShape, outputSize, this.#capabilities);
    // Inserted again, so that the map's first plan is the one used longest ago.
    this.#plans.delete(key);
    this.#plans.set(key, plan);
    const [oldest] = this.#plans;
    if (oldest !== undefined && this.#plans.size > KEPT_PLANS) {
      this.#plans.delete(oldest[0]);
      this.#onDropped(oldest[1]);
    }
    this.#recent = outputSize === undefined ? { inputShape: [...inputShape], plan } : undefined;
    return plan;
  }

  /** Drops all plans if a kernel has been set aside since they were made, by whichever layer: they may use it. */
  #dropIfSetAside(): void {
    const count = this.#capabilities.setAside?.size ?? 0;
    if (count === this.#setAside) return;
    this.#setAside = count;
    this.#plans.forEach(this.#onDropped);
    this.#plans.clear();
    this.#recent = undefined;
  }
}
