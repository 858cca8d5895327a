import { CpuLayer } from './cpu/layer.ts';
import { ConvTranspose2dError, invalid, shown } from './errors.ts';
import { initialState } from './initial-weights.ts';
import { loadVerify } from './load.ts';
import {
  checkCall,
  checkInputShape,
  layoutShape,
  outputExtents,
  resolveOptions,
  splitCall,
  weightExtents,
  weightShape,
  type Spec,
} from './options.ts';
import { KEPT_PLANS, type LayerPlan, planLayer } from './plan.ts';
import {
  allocate,
  bytesOf,
  checkHostTensor,
  dtypeOf,
  hostTensorLike,
  isGpu,
  keeping,
  sameShape,
  tensorOf,
} from './tensors.ts';
import type {
  Call,
  ConvTranspose2dOptions,
  Device,
  GpuTensor,
  HostTensor,
  LayerOptions,
  Mismatch,
  Pair,
  Plan,
  StateDict,
} from './types.ts';
import { checkEncoder, checkGpuTensor, emptyTensor } from './webgpu/buffers.ts';
import { adapterOf, capabilitiesOf, setKernelAside, sharedDevice } from './webgpu/device.ts';
import { GpuLayer } from './webgpu/layer.ts';
import { lossOf } from './webgpu/scopes.ts';

type Backend = GpuLayer | CpuLayer;

/** With `verify: 'sample'`, after the first call of a shape one of so many is checked. */
const CHECKED_OF = 64;

/**
 * A transposed 2-D convolution: what PyTorch's `nn.ConvTranspose2d` computes, on a GPU through WebGPU or on the CPU.
 *
 * Input (N, C, H, W) or (C, H, W), or channels last with `layout: 'NHWC'`; the output likewise, with
 * (size − 1)·stride − 2·padding + dilation·(kernel − 1) + outputPadding + 1 rows and columns.
 * Source: torch.nn.ConvTranspose2d.
 */
export class ConvTranspose2d {
  readonly #spec: Spec;
  /** The device asked for; undefined for the shared default. */
  readonly #asked: Device | undefined;
  #backend: Backend | undefined;
  /** The parameters as they were given or drawn; undefined before that, and when the GPU alone has them. */
  #state: StateDict | undefined;
  /** Draws the initial parameters. Most layers are given others, so it waits until a call needs them. */
  #initial: (() => StateDict) | undefined;
  #plans = new Map<string, LayerPlan>();
  /** Whether the parameters were on a GPU alone, and that was lost. */
  #stateLost = false;
  /** The plan used last: a layer is mostly called with one shape. */
  #recent: { readonly inputShape: readonly number[]; readonly plan: LayerPlan } | undefined;
  readonly #verify: 'off' | 'sample' | 'always';
  readonly #onMismatch: (mismatch: Mismatch) => void;
  /** How many calls there were, and parameters loaded. */
  #calls = 0;
  #loads = 0;
  /** How many kernels were set aside when the plans were made. */
  #setAside = 0;
  readonly #checked = new WeakSet<LayerPlan>();
  #destroyed = false;

  /**
   * Draws weight and bias from PyTorch's distribution, U(−√k, √k) with k = groups / (outChannels · kernel height · width).
   * @param inChannels C of the input
   * @param outChannels C of the output
   * @param kernelSize in taps: one number, or (height, width)
   * @throws ConvTranspose2dError INVALID_ARGUMENT, naming the argument, its value and the rule; UNSUPPORTED where the device
   * given has no room for the weight
   */
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Pair,
    options?: ConvTranspose2dOptions & LayerOptions,
  ) {
    const { spec, device, seed, verify, onMismatch } = resolveOptions(inChannels, outChannels, kernelSize, options);
    this.#spec = spec;
    this.#verify = verify;
    this.#onMismatch =
      onMismatch ??
      (({ message }) => {
        console.warn(message);
      });
    this.#asked = device;
    this.#initial = () => initialState(spec, seed);
    if (device !== undefined) this.#settle(device, 'on the device given');
  }

  /** Where the layer runs; undefined until the shared default is known. */
  get device(): Device | undefined {
    return this.#backend?.device;
  }

  /**
   * Takes the weight, (inChannels, outChannels / groups, height, width) or as `weightLayout` says, and the bias,
   * (outChannels), both of the layer's dtype, and nothing else. Host tensors are copied; GPU tensors are packed
   * by a pass that is submitted at once, so they may be changed or destroyed afterwards.
   * @throws ConvTranspose2dError INVALID_ARGUMENT, DESTROYED; NOT_READY for GPU tensors while no device is known
   */
  loadStateDict(state: StateDict<HostTensor | GpuTensor>): void {
    this.#checkAlive();
    if (typeof state !== 'object' || (state as unknown) === null || !('weight' in state)) {
      throw invalid(
        'state',
        state,
        "it must be { weight, bias }, by these names: a model's without the layer's prefix",
      );
    }
    const { weight, bias, ...others } = state;
    const unexpected = Object.entries(others).find(([, value]) => value !== undefined);
    if (unexpected !== undefined) {
      const known = this.#spec.bias ? 'weight and bias' : 'weight';
      const rule = `the layer has no parameter of that name: it has ${known}`;
      throw invalid(`state ${shown(unexpected[0])}`, unexpected[1], rule);
    }
    if ((bias !== undefined) !== this.#spec.bias) {
      const rule = this.#spec.bias
        ? 'the layer has one; without, make it with bias: false'
        : 'the layer was made with bias: false';
      throw invalid('bias', bias, rule);
    }
    if (isGpu(weight) || isGpu(bias)) {
      this.#loadGpu(weight, bias);
    } else {
      const shape = weightShape(this.#spec);
      const copy = (name: string, tensor: HostTensor, extents: number[]): HostTensor =>
        copied(checkHostTensor(name, tensor, extents, this.#spec.dtype));
      const loaded = { weight: copy('weight', weight, shape) };
      this.#state = bias === undefined ? loaded : { ...loaded, bias: copy('bias', bias, [this.#spec.outChannels]) };
      this.#backend?.loadHost(this.#state);
      // The CPU's kernel depends on whether all weights are finite.
      if (this.#backend instanceof CpuLayer) this.#forgetPlans();
    }
    this.#initial = undefined;
    this.#stateLost = false;
    this.#loads++;
  }

  /**
   * Copies of the weight, in the layer's `weightLayout`, and of the bias if there is one. Host tensors come back in the form that
   * they were loaded in, others as `Float16Array` (where the platform has it) or `Float32Array`.
   * @throws ConvTranspose2dError DESTROYED; DEVICE_LOST where only the lost GPU had them
   */
  async stateDict(): Promise<{ weight: HostTensor; bias?: HostTensor }> {
    this.#checkAlive();
    this.#draw();
    if (this.#state !== undefined) {
      const { weight, bias } = this.#state;
      return bias === undefined ? { weight: copied(weight) } : { weight: copied(weight), bias: copied(bias) };
    }
    this.#checkState();
    if (!(this.#backend instanceof GpuLayer)) throw new Error('only a GPU layer keeps no host state');
    const { weight, bias } = await this.#settled(this.#backend.stateDict(), undefined);
    const { dtype, outChannels } = this.#spec;
    const loaded = { weight: tensorOf(weightShape(this.#spec), weight, dtype) };
    return this.#spec.bias ? { ...loaded, bias: tensorOf([outChannels], bias, dtype) } : loaded;
  }

  /** The output's shape for an input's. @throws ConvTranspose2dError INVALID_ARGUMENT */
  outputShape(inputShape: readonly number[], call?: Call): number[] {
    const { outputSize } = checkCall(call);
    return shapeOfOutput(this.#spec, inputShape, outputSize);
  }

  /** How a call of that shape will run. @throws ConvTranspose2dError INVALID_ARGUMENT, UNSUPPORTED, DESTROYED */
  plan(inputShape: readonly number[], call?: Call): Plan {
    this.#checkAlive();
    return this.#plan(inputShape, checkCall(call).outputSize).plan;
  }

  /**
   * Makes the device, pipelines and packed weights ahead of the first call; compiles without blocking. Resolves to `plan`'s answer.
   * @throws ConvTranspose2dError INVALID_ARGUMENT, UNSUPPORTED, OUT_OF_MEMORY, NOT_READY, DEVICE_LOST, GPU_ERROR, DESTROYED; the
   * signal's reason when aborted
   */
  async prepare(inputShape: readonly number[], call?: Call): Promise<Plan> {
    this.#checkAlive();
    const { outputSize, signal } = checkCall(call);
    const { backend, layerPlan } = await this.#ready(inputShape, outputSize, signal);
    await this.#settled(backend.prepare(layerPlan), signal);
    return layerPlan.plan;
  }

  /**
   * Computes one call from host to host: input (N, C, H, W) or (C, H, W), or channels last with `layout: 'NHWC'`; the output
   * likewise, of the shape that `outputShape` gives. The result comes in the form of the input: Float32Array, Float16Array, or
   * Uint16Array with float16 bits; with `call.output` it is written there. Neither may be transferred before the call has ended.
   * On an emulated GPU, what was neither prepared nor is verified runs on what compiles fastest first.
   * @throws ConvTranspose2dError INVALID_ARGUMENT, UNSUPPORTED, OUT_OF_MEMORY, NOT_READY, DEVICE_LOST, GPU_ERROR, DESTROYED; the
   * signal's reason when aborted
   */
  async forward(input: HostTensor, call?: Call): Promise<HostTensor> {
    this.#checkAlive();
    const { outputSize, signal, output } = checkCall(call);
    checkHostTensor('input', input, undefined, this.#spec.dtype);
    const outputShape = shapeOfOutput(this.#spec, input.shape, outputSize);
    if (output !== undefined) checkHostTensor('output', output, outputShape, this.#spec.dtype);
    // An output may lie where the input does.
    const verified = this.#verify !== 'off';
    const shared = verified && output?.data.buffer === input.data.buffer;
    // The caller's shape may change.
    const from = shared ? copied(input) : { shape: [...input.shape], data: input.data, dtype: this.#spec.dtype };
    const checkKept = keeping({ input: from, output });
    for (;;) {
      const { backend, layerPlan } = await this.#ready(from.shape, outputSize, signal);
      const loads = this.#loads;
      const computed = backend.forward(layerPlan, from, output, signal, !verified).finally(checkKept);
      const result = await this.#settled(computed, signal);
      if (!(backend instanceof GpuLayer) || !this.#isToBeChecked(layerPlan)) return result;
      const { mismatchOf, wrongOutput } = await this.#settled(loadVerify(), signal);
      const state = this.#state ?? (await this.stateDict());
      signal?.throwIfAborted();
      // Others may have been loaded meanwhile: nobody knows which the call had.
      if (loads !== this.#loads) return result;
      const wrong = wrongOutput(this.#spec, layerPlan, state, from, result);
      if (wrong === undefined) return result;
      const { kernel } = layerPlan.plan;
      setKernelAside(backend.device, kernel);
      this.#onMismatch(mismatchOf(layerPlan, adapterOf(backend.device), from.shape, wrong));
    }
  }

  #isToBeChecked(layerPlan: LayerPlan): boolean {
    if (this.#verify === 'off') return false;
    const due = this.#verify === 'always' || !this.#checked.has(layerPlan) || this.#calls % CHECKED_OF === 0;
    this.#calls++;
    this.#checked.add(layerPlan);
    return due;
  }

  /**
   * Records a call into the caller's encoder: no submit, no wait. Without `output` a new buffer is made (STORAGE | COPY_SRC
   * | COPY_DST), which is the caller's. Submit what was recorded before the next `loadStateDict` or `destroy`.
   * @throws ConvTranspose2dError NOT_READY while no device is known, UNSUPPORTED on 'cpu', INVALID_ARGUMENT
   */
  encode(encoder: GPUCommandEncoder, input: GpuTensor, output?: GpuTensor, call?: Call): GpuTensor {
    this.#checkAlive();
    const { outputSize } = checkCall(call);
    const backend = this.#backend;
    if (backend === undefined) {
      throw new ConvTranspose2dError(
        'NOT_READY',
        'encode needs a known device: give the option device, or await prepare',
      );
    }
    if (!(backend instanceof GpuLayer)) {
      throw new ConvTranspose2dError(
        'UNSUPPORTED',
        "encode records GPU work, and the layer's device is 'cpu': call forward",
      );
    }
    checkEncoder(encoder);
    this.#draw();
    this.#checkState();
    const { device } = backend;
    const { dtype } = this.#spec;
    const from = checkGpuTensor(device, 'input', input, undefined, dtype);
    const layerPlan = this.#plan(from.shape, outputSize);
    const { outputShape } = layerPlan.plan;
    if (output !== undefined) {
      const to = checkGpuTensor(device, 'output', output, outputShape, dtype);
      if (to.buffer === from.buffer) throw invalid('output buffer', to.buffer, "it must not be the input's");
      backend.encode(encoder, layerPlan, from, to);
      return output;
    }
    const made = emptyTensor(device, outputShape, dtype);
    try {
      backend.encode(encoder, layerPlan, from, made);
    } catch (error) {
      made.buffer.destroy();
      throw error;
    }
    return { ...made, shape: [...outputShape] };
  }

  /** Lets go of everything the layer made on its device. Calls under way reject with DESTROYED, later ones throw it. */
  destroy(): void {
    this.#destroyed = true;
    this.#backend?.destroy();
    this.#plans.clear();
  }

  #checkAlive(): void {
    if (this.#destroyed) throw new ConvTranspose2dError('DESTROYED', 'the layer was destroyed');
  }

  #checkState(): void {
    if (!this.#stateLost) return;
    throw new ConvTranspose2dError('DEVICE_LOST', 'the weights were on a GPU that was lost: load them again');
  }

  #draw(): void {
    if (this.#initial === undefined) return;
    this.#state = this.#initial();
    this.#initial = undefined;
    this.#backend?.loadHost(this.#state);
  }

  /** What became of a call, unless it was aborted or the layer destroyed meanwhile. */
  async #settled<T>(call: Promise<T>, signal: AbortSignal | undefined): Promise<T> {
    try {
      return await call;
    } catch (error) {
      throw this.#explained(error);
    } finally {
      signal?.throwIfAborted();
      this.#checkAlive();
    }
  }

  /** Says of a lost GPU who makes a new one. */
  #explained(error: unknown): unknown {
    if (!(error instanceof ConvTranspose2dError) || error.code !== 'DEVICE_LOST' || this.device === 'cpu') return error;
    const then =
      this.#asked === undefined
        ? 'the next call asks for another'
        : "it was the caller's own: make another device, and a layer on it";
    return new ConvTranspose2dError('DEVICE_LOST', `${error.message} (${then})`, { cause: error });
  }

  #settle(device: Device, because: string): Backend {
    const capabilities = capabilitiesOf(device, because);
    const backend =
      device === 'cpu' ? new CpuLayer(this.#spec, capabilities) : new GpuLayer(device, this.#spec, capabilities);
    if (this.#state !== undefined) backend.loadHost(this.#state);
    this.#backend = backend;
    this.#forgetPlans();
    return backend;
  }

  #forgetPlans(): void {
    this.#plans.clear();
    this.#recent = undefined;
  }

  /** The backend, once its device is known, and the plan of a call on it. */
  async #ready(
    inputShape: readonly number[],
    outputSize: Pair | undefined,
    signal: AbortSignal | undefined,
  ): Promise<{ backend: Backend; layerPlan: LayerPlan }> {
    signal?.throwIfAborted();
    // Bad shapes are refused before a device is asked for.
    shapeOfOutput(this.#spec, inputShape, outputSize);
    this.#draw();
    let backend = this.#backend;
    if (this.#asked === undefined && (backend === undefined || isLost(backend))) {
      const { device, because } = await sharedDevice();
      signal?.throwIfAborted();
      this.#checkAlive();
      backend = this.#backend;
      if (backend === undefined || isLost(backend)) {
        this.#stateLost = this.#state === undefined;
        backend?.destroy();
        backend = this.#settle(device, because);
      }
    }
    this.#checkState();
    if (backend === undefined) throw new Error('a layer with a device has its backend');
    return { backend, layerPlan: this.#plan(inputShape, outputSize) };
  }

  #plan(inputShape: readonly number[], outputSize: Pair | undefined): LayerPlan {
    this.#forgetSetAside();
    const recent = this.#recent;
    if (recent !== undefined && outputSize === undefined && sameShape(recent.inputShape, inputShape))
      return recent.plan;
    // Checked before it is looked up: what only prints like a shape is none.
    shapeOfOutput(this.#spec, inputShape, outputSize);
    const key = `${String(inputShape)}|${String(outputSize)}`;
    let layerPlan = this.#plans.get(key);
    if (layerPlan === undefined) {
      const capabilities = this.#backend?.capabilities ?? capabilitiesOf(this.#asked, 'no device is known yet');
      layerPlan = planLayer(this.#spec, inputShape, outputSize, capabilities);
    } else {
      this.#plans.delete(key);
    }
    this.#plans.set(key, layerPlan);
    const [oldest] = this.#plans;
    if (oldest !== undefined && this.#plans.size > KEPT_PLANS) {
      this.#plans.delete(oldest[0]);
      this.#backend?.release(oldest[1]);
    }
    this.#recent = outputSize === undefined ? { inputShape: [...inputShape], plan: layerPlan } : undefined;
    return layerPlan;
  }

  /** Plans anew when a kernel was set aside, by whichever layer. */
  #forgetSetAside(): void {
    const count = this.#backend?.capabilities.setAside?.size ?? 0;
    if (count === this.#setAside) return;
    this.#setAside = count;
    for (const layerPlan of this.#plans.values()) this.#backend?.release(layerPlan);
    this.#forgetPlans();
  }

  #loadGpu(weight: HostTensor | GpuTensor, bias: HostTensor | GpuTensor | undefined): void {
    const backend = this.#backend;
    if (backend === undefined) {
      throw new ConvTranspose2dError(
        'NOT_READY',
        'GPU weights need a known device: give the option device, or await prepare',
      );
    }
    if (!(backend instanceof GpuLayer)) {
      throw new ConvTranspose2dError('UNSUPPORTED', "the weights are on a GPU, and the layer's device is 'cpu'");
    }
    const { dtype, outChannels } = this.#spec;
    const gpuWeight = checkGpuTensor(backend.device, 'weight', weight, weightShape(this.#spec), dtype);
    const gpuBias = bias === undefined ? undefined : checkGpuTensor(backend.device, 'bias', bias, [outChannels], dtype);
    backend.loadGpu({ weight: gpuWeight, bias: gpuBias });
    this.#state = undefined;
  }
}

const isLost = ({ device }: Backend): boolean => device !== 'cpu' && lossOf(device) !== undefined;

function copied(tensor: HostTensor): HostTensor {
  const bytes = allocate(tensor.data.byteLength);
  new Uint8Array(bytes).set(bytesOf(tensor.data));
  return hostTensorLike(tensor, [...tensor.shape], bytes);
}

function shapeOfOutput(spec: Spec, inputShape: unknown, outputSize: unknown): number[] {
  const input = checkInputShape(spec, inputShape);
  return layoutShape(spec, input, spec.outChannels, outputExtents(spec, input, outputSize));
}

/**
 * The shape that `convTranspose2d` gives for an input's, (N, C, H, W) or (C, H, W), and a weight's, (I, O, H, W), or those in
 * the layouts that the options say.
 * @throws ConvTranspose2dError INVALID_ARGUMENT
 */
export function outputShape(
  inputShape: readonly number[],
  weightShape: readonly number[],
  options?: ConvTranspose2dOptions,
): number[] {
  const { layer } = splitCall(options);
  const { inChannels, outChannels, kernelSize } = weightExtents(weightShape, layer['weightLayout'], layer['groups']);
  const { spec } = resolveOptions(inChannels, outChannels, kernelSize, layer);
  return shapeOfOutput(spec, inputShape, undefined);
}

/**
 * One transposed convolution, host in and host out: input (N, C, H, W) or (C, H, W), weight (I, O, H, W) and bias (all
 * output channels), each in the layout that the options say. Makes a layer, calls it, and lets it go.
 * @throws ConvTranspose2dError; the signal's reason when aborted
 */
export async function convTranspose2d(
  input: HostTensor,
  weight: HostTensor,
  bias?: HostTensor | null,
  options?: ConvTranspose2dOptions & Call,
): Promise<HostTensor> {
  const { layer: layerOptions, call } = splitCall(options);
  checkHostTensor('weight', weight, undefined);
  const { inChannels, outChannels, kernelSize } = weightExtents(
    weight.shape,
    layerOptions['weightLayout'],
    layerOptions['groups'],
  );
  const hasBias = bias !== undefined && bias !== null;
  const layer = new ConvTranspose2d(inChannels, outChannels, kernelSize, {
    ...layerOptions,
    bias: hasBias,
    dtype: dtypeOf(weight),
  });
  try {
    layer.loadStateDict(hasBias ? { weight, bias } : { weight });
    return await layer.forward(input, call);
  } finally {
    layer.destroy();
  }
}
