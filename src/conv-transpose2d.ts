import { CpuLayer } from './cpu/layer.ts';
import { orAborted } from './cpu/or-aborted.ts';
import { ConvTranspose2dError } from './errors.ts';
import { has, invalid, shown } from './invalid.ts';
import { initialState } from './initial-weights.ts';
import { KeptPlans } from './kept-plans.ts';
import { loadVerify } from './load.ts';
import { weightShape } from './layouts.ts';
import { checkCall, resolveOptions, shapeOfOutput, type Spec } from './options.ts';
import type { LayerPlan } from './plan.ts';
import { allocate, bytesOf, hostTensorLike } from './tensors.ts';
import { checkHostTensor, isGpu, keeping } from './check-tensors.ts';
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
import { adapterOf, capabilitiesOf, setAsideOn, sharedDevice } from './webgpu/device.ts';
import type { Verifier } from './verify.ts';
import { GpuLayer } from './webgpu/layer.ts';
import { lossOf } from './webgpu/scopes.ts';

type Backend = GpuLayer | CpuLayer;

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
  /** Draws the initial parameters: only when a call needs them, since most layers are given others. */
  #initial: (() => StateDict) | undefined;
  #plans: KeptPlans;
  /** Whether only a GPU had the parameters, and it was lost. */
  #stateLost = false;
  readonly #verify: 'off' | 'sample' | 'always';
  readonly #onMismatch: (mismatch: Mismatch) => void;
  #verifier: Verifier | undefined;
  /** How often parameters were loaded. */
  #loads = 0;
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
    this.#plans = this.#newPlans();
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
   * @throws ConvTranspose2dError INVALID_ARGUMENT, OUT_OF_MEMORY, DESTROYED; for GPU tensors NOT_READY while no device is known,
   * UNSUPPORTED on 'cpu'
   */
  loadStateDict(state: StateDict<HostTensor | GpuTensor>): void {
    this.#checkAlive();
    if (!has(state, 'weight')) {
      const rule = "it must be { weight, bias }, by these names: a model's without the layer's prefix";
      throw invalid('state', state, rule);
    }
    const { weight, bias, ...others } = state;
    const { bias: hasBias, outChannels, dtype } = this.#spec;
    for (const [name, value] of Object.entries(others)) {
      if (value === undefined) continue;
      const known = hasBias ? 'weight and bias' : 'weight';
      throw invalid(`state ${shown(name)}`, value, `the layer has no parameter of that name: it has ${known}`);
    }
    if ((bias !== undefined) !== hasBias) {
      const rule = hasBias
        ? 'the layer has one; without, make it with bias: false'
        : 'the layer was made with bias: false';
      throw invalid('bias', bias, rule);
    }
    const shape = weightShape(this.#spec);
    if (isGpu(weight) || isGpu(bias)) {
      const backend = this.#gpuLayer('GPU weights need', "the weights are on a GPU, and the layer's device is 'cpu'");
      const check = (name: string, tensor: unknown, extents: number[]): Required<GpuTensor> =>
        checkGpuTensor(backend.device, name, tensor, extents, dtype);
      backend.loadGpu({
        weight: check('weight', weight, shape),
        bias: hasBias ? check('bias', bias, [outChannels]) : undefined,
      });
      this.#state = undefined;
    } else {
      const copy = (name: string, tensor: unknown, extents: number[]): HostTensor =>
        copied(checkHostTensor(name, tensor, extents, dtype));
      this.#state = {
        weight: copy('weight', weight, shape),
        bias: hasBias ? copy('bias', bias, [outChannels]) : undefined,
      };
      this.#backend?.loadHost(this.#state);
      // The CPU's kernel depends on whether all weights are finite.
      if (this.#backend instanceof CpuLayer) this.#plans = this.#newPlans();
    }
    this.#initial = undefined;
    this.#stateLost = false;
    this.#loads++;
  }

  /**
   * Copies of the weight, in the layer's `weightLayout`, and of the bias if there is one. Host tensors come back in the form that
   * they were loaded in, others as `Float32Array`; of a float16 layer as `Float16Array`, or `Uint16Array` where the platform has none.
   * @throws ConvTranspose2dError OUT_OF_MEMORY, DESTROYED; DEVICE_LOST or GPU_ERROR where only a GPU has them
   */
  async stateDict(): Promise<{ weight: HostTensor; bias?: HostTensor }> {
    this.#checkAlive();
    this.#draw();
    this.#checkState();
    // Undefined: only the GPU has them.
    if (this.#state === undefined) return this.#settled((this.#backend as GpuLayer).stateDict(), undefined);
    const { weight, bias } = this.#state;
    return { weight: copied(weight), ...(bias && { bias: copied(bias) }) };
  }

  /** The output's shape for an input's. @throws ConvTranspose2dError INVALID_ARGUMENT */
  outputShape(inputShape: readonly number[], call?: Call): number[] {
    const { outputSize } = checkCall(call);
    return shapeOfOutput(this.#spec, inputShape, outputSize);
  }

  /**
   * How a call of that shape will run.
   * @throws ConvTranspose2dError INVALID_ARGUMENT, UNSUPPORTED, DESTROYED; GPU_ERROR where `verify` has set aside every kernel
   */
  plan(inputShape: readonly number[], call?: Call): Plan {
    this.#checkAlive();
    return this.#plans.of(inputShape, checkCall(call).outputSize).plan;
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
   * On an emulated GPU, the first call of a shape that was not prepared runs a kernel that compiles faster, unless it is verified.
   * @throws ConvTranspose2dError INVALID_ARGUMENT, UNSUPPORTED, OUT_OF_MEMORY, NOT_READY, DEVICE_LOST, GPU_ERROR, DESTROYED; the
   * signal's reason when aborted
   */
  async forward(input: HostTensor, call?: Call): Promise<HostTensor> {
    this.#checkAlive();
    const { outputSize, signal, output } = checkCall(call);
    checkHostTensor('input', input, undefined, this.#spec.dtype);
    const outputShape = shapeOfOutput(this.#spec, input.shape, outputSize);
    if (output !== undefined) checkHostTensor('output', output, outputShape, this.#spec.dtype);
    // Verifying reads the input after the output was written, so it needs a copy if both share memory.
    const verify = this.#verify;
    const shared = verify !== 'off' && output?.data.buffer === input.data.buffer;
    // The caller's tensors may get other shapes or data.
    const from = shared ? copied(input) : { shape: [...input.shape], data: input.data, dtype: this.#spec.dtype };
    const to = output && { shape: outputShape, data: output.data };
    const checkKept = keeping({ input: from, output });
    for (;;) {
      const { backend, layerPlan } = await this.#ready(from.shape, outputSize, signal);
      const loads = this.#loads;
      const computed = backend.forward(layerPlan, from, to, signal, verify === 'off').finally(checkKept);
      const made = await this.#settled(computed, signal);
      const result = output ?? made;
      if (verify === 'off' || !(backend instanceof GpuLayer)) return result;
      const { Verifier, mismatchOf, wrongOutput } = await this.#settled(loadVerify(), signal);
      this.#verifier ??= new Verifier(verify);
      if (!this.#verifier.isDue(layerPlan)) return result;
      const state = this.#state ?? (await this.stateDict());
      signal?.throwIfAborted();
      // Others may have been loaded meanwhile: nobody knows which the call had.
      if (loads !== this.#loads) return result;
      checkKept();
      const wrong = wrongOutput(this.#spec, layerPlan, state, from, made);
      if (wrong === undefined) return result;
      const { kernel } = layerPlan.plan;
      setAsideOn(backend.device).add(kernel);
      this.#onMismatch(mismatchOf(layerPlan, adapterOf(backend.device), from.shape, wrong));
    }
  }

  /**
   * Records a call into the caller's encoder: no submit, no wait. Without `output` a new buffer is made (STORAGE | COPY_SRC
   * | COPY_DST), which is the caller's. Submit what was recorded before the next `loadStateDict` or `destroy`.
   * @throws ConvTranspose2dError NOT_READY while no device is known; UNSUPPORTED on 'cpu' and beyond the device's limits;
   * INVALID_ARGUMENT, OUT_OF_MEMORY, DEVICE_LOST, GPU_ERROR, DESTROYED
   */
  encode(encoder: GPUCommandEncoder, input: GpuTensor, output?: GpuTensor, call?: Call): GpuTensor {
    this.#checkAlive();
    const { outputSize } = checkCall(call);
    const backend = this.#gpuLayer(
      'encode needs',
      "encode records GPU work, and the layer's device is 'cpu': call forward",
    );
    checkEncoder(encoder);
    this.#draw();
    this.#checkState();
    const { device } = backend;
    const { dtype } = this.#spec;
    const from = checkGpuTensor(device, 'input', input, undefined, dtype);
    const layerPlan = this.#plans.of(from.shape, outputSize);
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
    this.#plans = this.#newPlans();
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

  /** Adds to the error of a lost GPU who has to make a new one: the next call, or the caller. */
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
    this.#plans = this.#newPlans();
    return backend;
  }

  /** An empty cache of plans, for the device as far as it is known. */
  #newPlans(): KeptPlans {
    const backend = this.#backend;
    const capabilities = backend?.capabilities ?? capabilitiesOf(undefined, 'no device is known yet');
    return new KeptPlans(this.#spec, capabilities, (layerPlan) => backend?.release(layerPlan));
  }

  /** The backend, once its device is known, and the plan of a call on it. */
  async #ready(
    inputShape: readonly number[],
    outputSize: Pair | undefined,
    signal: AbortSignal | undefined,
  ): Promise<{ backend: Backend; layerPlan: LayerPlan }> {
    signal?.throwIfAborted();
    // Bad shapes are refused before a device is asked for, during which the caller's may change.
    shapeOfOutput(this.#spec, inputShape, outputSize);
    const shape = [...inputShape];
    this.#draw();
    let backend = this.#backend;
    if (this.#asked === undefined && (backend === undefined || isLost(backend))) {
      const asked = sharedDevice();
      const { device, because } = await (signal === undefined ? asked : orAborted(asked, signal));
      this.#checkAlive();
      backend = this.#backend;
      if (backend === undefined || isLost(backend)) {
        this.#stateLost = this.#state === undefined;
        backend?.destroy();
        backend = this.#settle(device, because);
      }
    }
    this.#checkState();
    // Defined by now: a layer made with a device has had its backend since then.
    return { backend: backend!, layerPlan: this.#plans.of(shape, outputSize) };
  }

  #gpuLayer(needs: string, onCpu: string): GpuLayer {
    const backend = this.#backend;
    if (backend instanceof GpuLayer) return backend;
    throw backend === undefined
      ? new ConvTranspose2dError('NOT_READY', `${needs} a known device: give the option device, or await prepare`)
      : new ConvTranspose2dError('UNSUPPORTED', onCpu);
  }
}

const isLost = ({ device }: Backend): boolean => device !== 'cpu' && lossOf(device) !== undefined;

function copied(tensor: HostTensor): HostTensor {
  const bytes = allocate(tensor.data.byteLength);
  new Uint8Array(bytes).set(bytesOf(tensor.data));
  return hostTensorLike(tensor, tensor.shape, bytes);
}
