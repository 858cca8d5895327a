/** The gradients on a GPU: operands are picked, then summed, long sums in parts; the input's gradient is a transposed convolution. */
import operandsCode from '../../shaders/gradient_operands.wgsl?raw';
import sumCode from '../../shaders/sum_parts.wgsl?raw';
import weightCode from '../../shaders/weight_gradient.wgsl?raw';
import { pickedElements, pickedTexels, type Gradients, type GradientShapes, type Operands } from '../gradient-plan.ts';
import { weightShape } from '../layouts.ts';
import type { InputExtents, Size, Spec } from '../options.ts';
import type { Capabilities } from '../capabilities.ts';
import { CONVERT_WORKGROUP, fold } from '../workgroups.ts';
import { elementCount } from '../tensors.ts';
import type { GpuTensor } from '../types.ts';
import { bindingOf, bufferFrom, emptyTensor, read, stage, submitReading, tensorBytes } from './buffers.ts';
import { capabilitiesOf } from './device.ts';
import { GpuLayer } from './layer.ts';
import { bindGroup, pipelineNow, pipelineSoon, type Bindings, type PipelineRequest } from './pipelines.ts';
import { madeOf, prepareGradients, type PreparedGradients, type TableName } from './prepared-gradients.ts';
import { Retired } from './retired.ts';
import { inCallersScopes, inScopes, lossOf, watch, type Made } from './scopes.ts';

const PICK: Bindings = ['uniform', 'read-only-storage', 'read-only-storage', 'read-only-storage', 'storage'];
const PICK_TEXELS: Bindings = ['uniform', 'read-only-storage', 'read-only-storage', 'read-only-storage', 'texels'];
const WEIGHT: Bindings = ['uniform', 'texture', 'texture', 'storage'];
const SUM: Bindings = ['uniform', 'read-only-storage', 'read-only-storage', 'storage'];
const lines = { WORKGROUP_SIZE: CONVERT_WORKGROUP };
const request = (
  name: string,
  code: string,
  entryPoint: string,
  bindings: Bindings,
  constants: PipelineRequest['constants'] = lines,
): PipelineRequest => ({ shader: { name, code, entryPoint, bindings }, constants, float16: false });
const weightPacked = /* @__PURE__ */ request('gradient-weight-packed', operandsCode, 'packed', PICK);
const quads = /* @__PURE__ */ request('gradient-quads', operandsCode, 'quads', PICK_TEXELS);
const totals = /* @__PURE__ */ request('gradient-totals', sumCode, 'totals', SUM);
const biases = /* @__PURE__ */ request('gradient-biases', sumCode, 'biases', SUM);
const weightGradient = ({ tile }: PreparedGradients): PipelineRequest =>
  request('weight-gradient', weightCode, 'main', WEIGHT, tile);
const wideElements = ({ layout }: Spec): PipelineRequest =>
  request('gradient-elements', operandsCode, 'elements', PICK, { ...lines, CHANNELS_LAST: Number(layout === 'NHWC') });

/** For how many shapes scratch memory is kept. */
const KEPT_SHAPES = 4;

export class GpuGradients {
  readonly device: GPUDevice;
  readonly #spec: Spec;
  readonly #capabilities: Capabilities;
  /** Computes the input's gradient. Made with the first shape; the same for all. */
  #layer: GpuLayer | undefined;
  readonly #prepared = new Map<string, PreparedGradients>();
  readonly #retired = new Retired();

  constructor(device: GPUDevice, spec: Spec, capabilities: Capabilities) {
    this.device = device;
    this.#spec = spec;
    this.#capabilities = capabilities;
    watch(device);
  }

  /** Makes what a shape needs; pipelines compile without blocking. */
  async prepare(input: InputExtents, output: Size): Promise<void> {
    const { layer, prepared } = await inScopes(
      this.device,
      () => {
        const prepared = this.#preparedFor(input, output);
        return { layer: this.#layerOf(prepared), prepared };
      },
      (made) => {
        this.#forget(made);
      },
    );
    const requests = [wideElements(this.#spec), weightPacked, quads, weightGradient(prepared), totals, biases];
    await Promise.all(requests.map((one) => pipelineSoon(this.device, one)));
    await layer.prepare(prepared.layerPlan);
    // Meanwhile other shapes may have displaced this one.
    if (![...this.#prepared.values()].includes(prepared)) layer.release(prepared.layerPlan);
  }

  /** Records the gradients, from and to tensors on the device. Errors go to the caller's scopes. */
  encode(
    encoder: GPUCommandEncoder,
    input: InputExtents,
    output: Size,
    operands: Operands<Required<GpuTensor>>,
    results: Gradients<Required<GpuTensor> | null>,
  ): void {
    this.#retired.named = true;
    inCallersScopes(
      this.device,
      () => {
        this.#record(encoder, input, output, operands, results);
      },
      (made) => {
        for (const one of made) this.#retired.add(one);
        this.#forget(made);
      },
    );
  }

  #record(
    encoder: GPUCommandEncoder,
    input: InputExtents,
    output: Size,
    operands: Operands<Required<GpuTensor>>,
    results: Gradients<Required<GpuTensor> | null>,
  ): void {
    const { gradInput, gradWeight, gradBias } = results;
    if (input.batch === 0) {
      for (const tensor of [gradWeight, gradBias]) {
        if (tensor !== null) encoder.clearBuffer(tensor.buffer, tensor.offset, tensorBytes(tensor.shape, tensor.dtype));
      }
      return;
    }
    const prepared = this.#preparedFor(input, output);
    const layer = this.#layerOf(prepared);
    const { plan, layerPlan, wide } = prepared;
    const gradOutput = bindingOf(operands.gradOutput);
    const mask = operands.mask === undefined ? gradOutput : bindingOf(operands.mask);
    const table = (name: TableName): GPUBufferBinding => ({ buffer: prepared.tables[name] });
    const pass = encoder.beginComputePass({ label: 'conv-transpose2d gradients' });
    const run = (one: PipelineRequest, count: number, resources: readonly GPUBindingResource[]): void => {
      pass.setPipeline(pipelineNow(this.device, one));
      pass.setBindGroup(0, bindGroup(this.device, one.shader, resources));
      const workgroups = Math.ceil(count / one.constants['WORKGROUP_SIZE']!);
      pass.dispatchWorkgroups(...fold(workgroups, this.device.limits.maxComputeWorkgroupsPerDimension));
    };
    const picked = (
      one: PipelineRequest,
      name: 'wide' | 'input' | 'weight',
      count: number,
      [source, masked]: readonly [GPUBufferBinding, GPUBufferBinding],
      result: GPUBindingResource,
    ): void => {
      run(one, count, [table(`${name} params`), table(`${name} places`), source, masked, result]);
    };
    const [x, w] = [bindingOf(operands.input), bindingOf(operands.weight)];
    /** `into` sums to parts, which are then added up; if one part is enough, it sums straight to the result. */
    const summed = (
      name: 'weight' | 'bias',
      parts: GPUBuffer | undefined,
      result: Required<GpuTensor>,
      into: (parts: GPUBufferBinding) => void,
    ): void => {
      const source = parts === undefined ? bindingOf(result) : { buffer: parts };
      into(source);
      if (parts === undefined) return;
      run(totals, elementCount(result.shape), [table(`${name} totals`), source, source, bindingOf(result)]);
    };
    if (gradWeight !== null) {
      picked(quads, 'wide', pickedTexels(plan.wide), [gradOutput, mask], prepared.wideTexels.createView());
      picked(quads, 'input', pickedTexels(plan.input), [x, x], prepared.inputTexels.createView());
      summed('weight', prepared.weightParts, gradWeight, (parts) => {
        run(weightGradient(prepared), prepared.weightInvocations, [
          ...[table('weight gradient'), prepared.inputTexels.createView(), prepared.wideTexels.createView(), parts],
        ]);
      });
    }
    if (gradBias !== null) {
      summed('bias', prepared.biasParts, gradBias, (parts) => {
        run(biases, prepared.biasInvocations, [table('bias parts'), gradOutput, mask, parts]);
      });
    }
    if (gradInput !== null) {
      picked(wideElements(this.#spec), 'wide', pickedElements(plan.wide), [gradOutput, mask], bindingOf(wide));
      const buffer = layer.packedWeight(layerPlan);
      picked(weightPacked, 'weight', buffer.size / 16, [w, w], { buffer });
    }
    pass.end();
    if (gradInput === null) return;
    layer.encodeWeightTexels(encoder);
    layer.encode(encoder, layerPlan, wide, gradInput);
  }

  destroy(): void {
    this.#layer?.destroy();
    for (const prepared of this.#prepared.values()) for (const one of madeOf(prepared)) one.destroy();
    this.#prepared.clear();
    this.#retired.destroy();
  }

  /** Forgets the shapes for which something in `gone` was made. */
  #forget(gone: ReadonlySet<Made>): void {
    for (const [key, prepared] of this.#prepared)
      if (madeOf(prepared).some((one) => gone.has(one))) this.#prepared.delete(key);
  }

  #preparedFor(input: InputExtents, output: Size): PreparedGradients {
    const lost = lossOf(this.device);
    if (lost !== undefined) throw lost;
    // Plans differ once a kernel has been set aside.
    const setAside = this.#capabilities.setAside?.size;
    const key = [input.batch, input.height, input.width, ...output, setAside].join();
    const ready = this.#prepared.get(key);
    const prepared = ready ?? prepareGradients(this.device, this.#spec, this.#capabilities, input, output);
    this.#prepared.delete(key);
    this.#prepared.set(key, prepared);
    const [oldest] = this.#prepared;
    if (oldest !== undefined && this.#prepared.size > KEPT_SHAPES) {
      this.#prepared.delete(oldest[0]);
      for (const one of madeOf(oldest[1])) this.#retired.add(one);
      this.#layer?.release(oldest[1].layerPlan);
    }
    return prepared;
  }

  #layerOf({ plan }: PreparedGradients): GpuLayer {
    this.#layer ??= new GpuLayer(this.device, plan.spec, this.#capabilities);
    return this.#layer;
  }
}

/** Uploads, computes and reads back. */
export async function gpuGradients(
  device: GPUDevice,
  spec: Spec,
  shapes: GradientShapes,
  operands: Operands<Float32Array>,
  stop: AbortSignal,
): Promise<Gradients<Float32Array>> {
  const { input, output, outputShape, inputShape } = shapes;
  const gradients = new GpuGradients(device, spec, capabilitiesOf(device, 'asked for'));
  try {
    if (input.batch > 0) await gradients.prepare(input, output);
    stop.throwIfAborted();
    const sizes = { gradInput: inputShape, gradWeight: weightShape(spec), gradBias: [spec.outChannels] };
    const reading = await inScopes(device, () => {
      const upload = (shape: number[], values: Float32Array): Required<GpuTensor> => {
        const bytes = new Uint8Array(values.buffer, values.byteOffset, values.byteLength);
        const buffer = bufferFrom(device, 'conv-transpose2d operand', GPUBufferUsage.STORAGE, bytes);
        return { ...{ shape, buffer, offset: 0 }, dtype: 'float32' };
      };
      const on = {
        gradOutput: upload(outputShape, operands.gradOutput),
        input: upload(inputShape, operands.input),
        weight: upload(weightShape(spec), operands.weight),
        mask: operands.mask && upload(outputShape, operands.mask),
      };
      const results = {
        gradInput: emptyTensor(device, sizes.gradInput, 'float32'),
        gradWeight: emptyTensor(device, sizes.gradWeight, 'float32'),
        gradBias: emptyTensor(device, sizes.gradBias, 'float32'),
      };
      const encoder = device.createCommandEncoder({ label: 'conv-transpose2d backward' });
      gradients.encode(encoder, input, output, on, results);
      const copy = ({ buffer }: Required<GpuTensor>): GPUBuffer => stage(device, encoder, buffer, 0, buffer.size);
      const copies = [copy(results.gradInput), copy(results.gradWeight), copy(results.gradBias)];
      const reading = submitReading(device, encoder, copies);
      for (const tensor of [...Object.values(on), ...Object.values(results)]) tensor?.buffer.destroy();
      return reading;
    });
    const [gradInput, gradWeight, gradBias] = await read(device, reading, stop);
    const values = (bytes: ArrayBuffer | undefined, shape: number[]): Float32Array =>
      new Float32Array(bytes!, 0, elementCount(shape));
    return {
      gradInput: values(gradInput, sizes.gradInput),
      gradWeight: values(gradWeight, sizes.gradWeight),
      gradBias: values(gradBias, sizes.gradBias),
    };
  } finally {
    gradients.destroy();
  }
}
