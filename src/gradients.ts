import { ConvTranspose2dError } from './errors.ts';
import { invalid } from './invalid.ts';
import { weightShape } from './layouts.ts';
import {
  checkInputShape,
  layoutShape,
  optionsOf,
  outputExtents,
  resolveOptions,
  splitCall,
  weightExtents,
  type Spec,
} from './options.ts';
import {
  allocate,
  bytesPerElement,
  dtypeOf,
  elementCount,
  hostTensorLike,
  storeFloat32,
  toFloat32Array,
} from './tensors.ts';
import { checkHostTensor, keeping } from './check-tensors.ts';
import type { ConvTranspose2dOptions, Device, GpuTensor, HostTensor, Pair } from './types.ts';
import { checkEncoder, checkGpuTensor, checkUsage, emptyTensor, overlap } from './webgpu/buffers.ts';
import { capabilitiesOf, sharedDevice } from './webgpu/device.ts';
import type { MakeLayer } from './cpu/gradients.ts';
import { CpuLayer } from './cpu/layer.ts';
import { orAborted } from './cpu/or-aborted.ts';
import { GpuGradients, gpuGradients } from './webgpu/gradients.ts';
import { planGradients, type Gradients, type GradientShapes, type Operands } from './gradient-plan.ts';
import { loadGradients } from './load.ts';
import { planLayer } from './plan.ts';

/** What the gradients of a call are computed from. */
export interface BackwardOperands<Tensor> {
  /** The loss's gradient with respect to the output, of the output's shape. */
  readonly gradOutput: Tensor;
  /** The forward call's. */
  readonly input: Tensor;
  /** In the options' `weightLayout`. */
  readonly weight: Tensor;
  /** The forward call's output: only with activation 'relu'. */
  readonly forwardOutput?: Tensor | undefined;
}

/** The loss's gradients with respect to input, weight and bias, each of that tensor's shape. */
export interface BackwardResult<Tensor> {
  readonly gradInput: Tensor;
  readonly gradWeight: Tensor;
  /** (outChannels) */
  readonly gradBias: Tensor;
}

/** Where gradients go: a tensor to write to, or `null` for one that is not needed; left out, a new tensor is made. */
export type BackwardTargets = { readonly [K in keyof BackwardResult<GpuTensor>]?: GpuTensor | null | undefined };

/** The gradients that were recorded; `null` where that was asked for. */
export type EncodedGradients<T extends BackwardTargets> = {
  readonly [K in keyof BackwardResult<GpuTensor>]: K extends keyof T
    ? T[K] extends null
      ? null
      : GpuTensor | Extract<T[K], null>
    : GpuTensor;
};

/** Options of a single backward call. */
export interface BackwardCall {
  /** Wins over the options' own `outputSize`. */
  outputSize?: Pair | undefined;
}

function shapesOf(spec: Spec, inputShape: unknown, outputSize: unknown): GradientShapes {
  const input = checkInputShape(spec, inputShape);
  const output = outputExtents(spec, input, outputSize);
  return {
    ...{ input, output },
    inputShape: layoutShape(spec, input, spec.inChannels, [input.height, input.width]),
    outputShape: layoutShape(spec, input, spec.outChannels, output),
  };
}

/** The `outputSize` of a call, its only option. */
const sizeAsked = (call: unknown): unknown => optionsOf(call, ['outputSize'], 'call')['outputSize'];

function checkActivation({ activation }: Spec): void {
  if (activation === 'none' || activation === 'relu') return;
  throw invalid('activation', activation, "gradients are known of 'none' and 'relu'");
}

function checkForwardOutput({ activation }: Spec, forwardOutput: unknown): void {
  if ((activation === 'relu') === (forwardOutput !== undefined)) return;
  const rule = "it is given with activation 'relu', and left out with 'none'";
  throw invalid('forwardOutput', forwardOutput, rule);
}

/**
 * Records the gradients of transposed convolutions into a caller's encoder, on the caller's device, for training with weights
 * that never leave the GPU. Tensors are float32; channels, kernel size and options are those of `ConvTranspose2d`, with
 * activation 'none' or 'relu'.
 * Source: torch.nn.ConvTranspose2d's derivative.
 */
export class ConvTranspose2dGradients {
  readonly #spec: Spec;
  readonly #gradients: GpuGradients;
  #destroyed = false;

  /** @throws ConvTranspose2dError INVALID_ARGUMENT, naming the argument, its value and the rule */
  constructor(
    inChannels: number,
    outChannels: number,
    kernelSize: Pair,
    options: ConvTranspose2dOptions & { readonly device: GPUDevice },
  ) {
    const { spec, device } = resolveOptions(inChannels, outChannels, kernelSize, options);
    checkActivation(spec);
    if (spec.dtype !== 'float32') throw invalid('dtype', spec.dtype, "gradients are recorded of 'float32' alone");
    if (device === undefined || device === 'cpu') throw invalid('device', device, 'it must be a GPUDevice');
    this.#spec = spec;
    this.#gradients = new GpuGradients(device, spec, capabilitiesOf(device, 'on the device given'));
  }

  /**
   * Makes the pipelines and buffers of a shape ahead of the first call; compiles without blocking.
   * @throws ConvTranspose2dError
   */
  async prepare(inputShape: readonly number[], call?: BackwardCall): Promise<void> {
    this.#checkAlive();
    const { input, output } = shapesOf(this.#spec, inputShape, sizeAsked(call));
    try {
      if (input.batch > 0) await this.#gradients.prepare(input, output);
    } finally {
      this.#checkAlive();
    }
  }

  /**
   * Records a backward call: no submit, no wait, no readback. Gradients that are not given are made (STORAGE | COPY_SRC |
   * COPY_DST), and are the caller's; those that are `null` are not computed. They are overwritten, not accumulated. Submit what was
   * recorded before `destroy`.
   * @throws ConvTranspose2dError INVALID_ARGUMENT, UNSUPPORTED beyond the device's limits, OUT_OF_MEMORY, DEVICE_LOST, GPU_ERROR,
   * DESTROYED
   */
  encodeBackward<T extends BackwardTargets = object>(
    encoder: GPUCommandEncoder,
    operands: BackwardOperands<GpuTensor>,
    gradients?: T,
    call?: BackwardCall,
  ): EncodedGradients<T> {
    this.#checkAlive();
    const spec = this.#spec;
    const { device } = this.#gradients;
    checkEncoder(encoder);
    const named = optionsOf(operands, ['gradOutput', 'input', 'weight', 'forwardOutput'], 'operands');
    const targets = optionsOf(gradients, ['gradInput', 'gradWeight', 'gradBias'], 'gradients');
    checkForwardOutput(spec, named['forwardOutput']);
    const tensor = (name: string, value: unknown, shape?: number[]): Required<GpuTensor> =>
      checkGpuTensor(device, name, value, shape, 'float32');
    const from = tensor('input', named['input']);
    const { input, output, outputShape } = shapesOf(spec, from.shape, sizeAsked(call));
    const checked: Operands<Required<GpuTensor>> = {
      gradOutput: tensor('gradOutput', named['gradOutput'], outputShape),
      input: from,
      weight: tensor('weight', named['weight'], weightShape(spec)),
      mask: spec.activation === 'relu' ? tensor('forwardOutput', named['forwardOutput'], outputShape) : undefined,
    };
    const inputs = Object.values(checked).map((one: Required<GpuTensor> | undefined) => one?.buffer);
    const given: Required<GpuTensor>[] = [];
    const made: GPUBuffer[] = [];
    const target = (name: keyof BackwardTargets, shape: number[]): Required<GpuTensor> | null => {
      const value = targets[name];
      if (value === null) return null;
      if (value === undefined) {
        const empty = emptyTensor(device, shape, 'float32');
        made.push(empty.buffer);
        return empty;
      }
      const to = tensor(name, value, shape);
      if (input.batch === 0 && name !== 'gradInput') checkUsage(name, to.buffer, 'COPY_DST', 'cleared');
      if (inputs.includes(to.buffer)) throw invalid(`${name} buffer`, to.buffer, "it must not be an operand's");
      if (given.some((other) => overlap(to, other))) {
        throw invalid(`${name} offset`, to.offset, 'its bytes must not be those of another gradient');
      }
      given.push(to);
      return to;
    };
    try {
      const results = {
        gradInput: target('gradInput', [...from.shape]),
        gradWeight: target('gradWeight', weightShape(spec)),
        gradBias: target('gradBias', [spec.outChannels]),
      };
      this.#gradients.encode(encoder, input, output, checked, results);
      return results as EncodedGradients<T>;
    } catch (error) {
      made.forEach((buffer) => {
        buffer.destroy();
      });
      throw error;
    }
  }

  /** Releases everything that was made, except for the gradients themselves. */
  destroy(): void {
    this.#destroyed = true;
    this.#gradients.destroy();
  }

  #checkAlive(): void {
    if (this.#destroyed) throw new ConvTranspose2dError('DESTROYED', 'the gradients were destroyed');
  }
}

/**
 * The gradients of one transposed convolution with respect to its input, weight and bias, from host to host: what PyTorch's
 * autograd computes for `torch.nn.functional.conv_transpose2d`. Takes all options of the forward call; the activation must be 'none',
 * or 'relu' with `forwardOutput`. Each gradient has the array type of its tensor (the bias's that of the weight).
 * @param gradOutput the loss's gradient with respect to the output, of the output's shape
 * @throws ConvTranspose2dError; the signal's reason when aborted
 */
export async function convTranspose2dBackward(
  gradOutput: HostTensor,
  input: HostTensor,
  weight: HostTensor,
  options?: ConvTranspose2dOptions & {
    forwardOutput?: HostTensor | undefined;
    signal?: AbortSignal | undefined;
  },
): Promise<{ gradInput: HostTensor; gradWeight: HostTensor; gradBias: HostTensor }> {
  const { layer, call } = splitCall(options, ['forwardOutput']);
  const forwardOutput = options?.forwardOutput;
  if (call.output !== undefined)
    throw invalid("option 'output'", call.output, 'gradients come in tensors of their own');
  checkHostTensor('weight', weight, undefined);
  const dtype = dtypeOf(weight);
  const extents = weightExtents(weight.shape, layer['weightLayout'], layer['groups']);
  const { spec, device: asked } = resolveOptions(extents.inChannels, extents.outChannels, extents.kernelSize, {
    ...layer,
    ...{ bias: true, dtype },
  });
  checkActivation(spec);
  checkForwardOutput(spec, forwardOutput);
  checkHostTensor('input', input, undefined, dtype);
  const shapes = shapesOf(spec, input.shape, undefined);
  checkHostTensor('gradOutput', gradOutput, shapes.outputShape, dtype);
  if (forwardOutput !== undefined) checkHostTensor('forwardOutput', forwardOutput, shapes.outputShape, dtype);
  const stop = call.signal ?? new AbortController().signal;
  stop.throwIfAborted();
  const checkKept = keeping({ gradOutput, input, weight, forwardOutput });
  // The caller's may get other data.
  const [inputLike, weightLike] = [{ ...input }, { ...weight }];
  const compute = async (): Promise<Gradients<Float32Array>> => {
    const operands: Operands<Float32Array> = {
      gradOutput: toFloat32Array(gradOutput),
      input: toFloat32Array(input),
      weight: toFloat32Array(weight),
      mask: forwardOutput && toFloat32Array(forwardOutput),
    };
    const device: Device = asked ?? (await orAborted(sharedDevice(), stop)).device;
    const float32: Spec = { ...spec, dtype: 'float32' };
    return device === 'cpu'
      ? onCpu(float32, shapes, operands, stop)
      : gpuGradients(device, float32, shapes, operands, stop);
  };
  const computed = await compute().finally(() => {
    stop.throwIfAborted();
    checkKept();
  });
  const like = (tensor: HostTensor, shape: readonly number[], values: Float32Array): HostTensor => {
    const bytes = values.buffer as ArrayBuffer;
    if (dtype === 'float32') return hostTensorLike(tensor, shape, bytes);
    const result = hostTensorLike(tensor, shape, allocate(elementCount(shape) * bytesPerElement(dtype)));
    storeFloat32(values, result.data);
    return result;
  };
  return {
    gradInput: like(inputLike, shapes.inputShape, computed.gradInput),
    gradWeight: like(weightLike, weightShape(spec), computed.gradWeight),
    gradBias: like(weightLike, [spec.outChannels], computed.gradBias),
  };
}

async function onCpu(
  spec: Spec,
  { input, output }: GradientShapes,
  operands: Operands<Float32Array>,
  stop: AbortSignal,
): Promise<Gradients<Float32Array>> {
  const { cpuGradients } = await orAborted(loadGradients(), stop);
  const capabilities = capabilitiesOf('cpu', 'asked for');
  const makeLayer: MakeLayer = (of, inputShape) => ({
    layer: new CpuLayer(of, capabilities),
    layerPlan: planLayer(of, inputShape, undefined, capabilities),
  });
  return cpuGradients(spec, planGradients(spec, input, output), output, makeLayer, operands, stop);
}
