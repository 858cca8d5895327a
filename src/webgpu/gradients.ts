/** The gradients on a GPU: operands picked, one transposed convolution, and long sums in parts. */
import operandsCode from '../../shaders/gradient_operands.wgsl?raw';
import sumCode from '../../shaders/sum_parts.wgsl?raw';
import weightCode from '../../shaders/weight_gradient.wgsl?raw';
import { weightShape, type InputExtents, type Size, type Spec } from '../options.ts';
import {
  CONVERT_WORKGROUP,
  fold,
  packedElements,
  planLayer,
  TEXELS_IN_LINE,
  textureBytes,
  type Capabilities,
  type LayerPlan,
} from '../plan.ts';
import { elementCount } from '../tensors.ts';
import type { GpuTensor } from '../types.ts';
import { bufferFrom, checkFits, emptyTensor, readStaging, stage } from './buffers.ts';
import { capabilitiesOf } from './device.ts';
import { GpuLayer } from './layer.ts';
import {
  bindGroupLayout,
  pipelineNow,
  pipelineSoon,
  TEXEL_FORMAT,
  type Bindings,
  type PipelineRequest,
  type Shader,
} from './pipelines.ts';
import { Retired } from './retired.ts';
import { inScopes, lossOf, makeBuffer, makeTexture, watch } from './scopes.ts';
import {
  pickedElements,
  pickedTexels,
  planGradients,
  type GradientPlan,
  type Gradients,
  type GradientShapes,
  type Operands,
  type Pick,
} from '../gradient-plan.ts';

const PICK: Bindings = ['uniform', 'read-only-storage', 'read-only-storage', 'read-only-storage', 'storage'];
const PICK_TEXELS: Bindings = ['uniform', 'read-only-storage', 'read-only-storage', 'read-only-storage', 'texels'];
const SUM: Bindings = ['uniform', 'read-only-storage', 'read-only-storage', 'storage'];
const shader = (name: string, code: string, entryPoint: string, bindings: Bindings): Shader => ({
  ...{ name, code, entryPoint, bindings },
});
const elements = /* @__PURE__ */ shader('gradient-elements', operandsCode, 'elements', PICK);
const packed = /* @__PURE__ */ shader('gradient-weight-packed', operandsCode, 'packed', PICK);
const quads = /* @__PURE__ */ shader('gradient-quads', operandsCode, 'quads', PICK_TEXELS);
const weightGradient = /* @__PURE__ */ shader('weight-gradient', weightCode, 'main', [
  'uniform',
  'texture',
  'texture',
  'storage',
]);
const totals = /* @__PURE__ */ shader('gradient-totals', sumCode, 'totals', SUM);
const biases = /* @__PURE__ */ shader('gradient-biases', sumCode, 'biases', SUM);

const request = (shader: Shader, constants: Record<string, number>): PipelineRequest => ({
  ...{ shader, constants, float16: false },
});
const lines = { WORKGROUP_SIZE: CONVERT_WORKGROUP };
const wideElements = (spec: Spec): PipelineRequest =>
  request(elements, { ...lines, CHANNELS_LAST: Number(spec.layout === 'NHWC') });
const weightPacked = /* @__PURE__ */ request(packed, lines);

/** What an invocation of the weight's gradient computes: 4·ROWS input × 4·COLUMNS output channels. */
interface Tile {
  readonly WORKGROUP_SIZE: number;
  readonly ROWS: number;
  readonly COLUMNS: number;
}

/** A sum of many terms, cut into parts that are summed side by side. */
interface Split {
  readonly parts: number;
  /** Lines of a part. */
  readonly each: number;
}

/** Invocations that keep a GPU busy: an emulated one, and a real one. */
const BUSY = { software: 128, hardware: 65536 };
/** Most bytes of the parts of a sum. */
const MOST_PARTS = 64 * 2 ** 20;

function split(lines: number, elements: number, invocations: number, { software, limits }: Capabilities): Split {
  const wanted = Math.ceil((software ? BUSY.software : BUSY.hardware) / invocations);
  const room = Math.floor(Math.min(MOST_PARTS, limits.maxStorageBufferBindingSize) / (4 * elements));
  const each = Math.ceil(lines / Math.max(1, Math.min(wanted, room, lines)));
  return { parts: Math.ceil(lines / each), each };
}

/** Everything of a shape but the tensors. */
interface Prepared {
  readonly plan: GradientPlan;
  readonly layer: GpuLayer;
  readonly layerPlan: LayerPlan;
  readonly tile: Tile;
  readonly weightSplit: Split;
  readonly biasSplit: Split;
  readonly wide: Required<GpuTensor>;
  readonly wideTexels: GPUTexture;
  readonly inputTexels: GPUTexture;
  /** Undefined where one part is all. */
  readonly weightParts: GPUBuffer | undefined;
  readonly biasParts: GPUBuffer | undefined;
  readonly tables: ReadonlyMap<TableName, GPUBuffer>;
}
type TableName =
  | `${'wide' | 'input' | 'weight'} ${'params' | 'places'}`
  | 'weight gradient'
  | 'weight totals'
  | 'bias parts'
  | 'bias totals';

/** Shapes whose scratch is kept. */
const KEPT_SHAPES = 4;

export class GpuGradients {
  readonly device: GPUDevice;
  readonly capabilities: Capabilities;
  readonly #spec: Spec;
  /** Of the input's gradient; made with the first plan, and the same for every shape. */
  #layer: GpuLayer | undefined;
  readonly #prepared = new Map<string, Prepared>();
  readonly #retired = new Retired();
  /** Whether a caller's encoder may name what was made. */
  #named = false;

  constructor(device: GPUDevice, spec: Spec, capabilities: Capabilities) {
    this.device = device;
    this.#spec = spec;
    this.capabilities = capabilities;
    watch(device);
  }

  /** Makes what a shape needs; pipelines compile without blocking. */
  async prepare(input: InputExtents, output: Size): Promise<void> {
    const { layer, layerPlan, tile } = await inScopes(
      this.device,
      () => this.#preparedFor(input, output),
      (gone) => {
        for (const [key, { wide }] of this.#prepared) if (gone.has(wide.buffer)) this.#prepared.delete(key);
      },
    );
    const requests = [
      ...[wideElements(this.#spec), weightPacked, request(quads, lines), request(weightGradient, { ...tile })],
      ...[request(totals, lines), request(biases, lines)],
    ];
    await Promise.all(requests.map((one) => pipelineSoon(this.device, one)));
    await layer.prepare(layerPlan);
  }

  /** Records the gradients of tensors that are on the device, into tensors that are. */
  encode(
    encoder: GPUCommandEncoder,
    input: InputExtents,
    output: Size,
    operands: Operands<Required<GpuTensor>>,
    results: Gradients<Required<GpuTensor> | null>,
  ): void {
    const { gradInput, gradWeight, gradBias } = results;
    if (input.batch === 0) {
      for (const tensor of [gradWeight, gradBias]) {
        if (tensor !== null) encoder.clearBuffer(tensor.buffer, tensor.offset, bytesOf(tensor));
      }
      return;
    }
    const prepared = this.#preparedFor(input, output);
    this.#named = true;
    const { plan, layer, layerPlan, tile, weightSplit, biasSplit, wide, tables } = prepared;
    const spec = this.#spec;
    const gradOutput = bound(operands.gradOutput);
    const mask = operands.mask === undefined ? gradOutput : bound(operands.mask);
    const table = (name: TableName): GPUBufferBinding => ({ buffer: tables.get(name)! });
    const pass = encoder.beginComputePass({ label: 'conv-transpose2d gradients' });
    const run = (one: PipelineRequest, count: number, resources: readonly GPUBindingResource[]): void => {
      pass.setPipeline(pipelineNow(this.device, one));
      pass.setBindGroup(0, this.#bind(one, resources));
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
    const [x, w] = [bound(operands.input), bound(operands.weight)];
    const texels = request(quads, lines);
    /** Sums in parts, or at once where there is one. */
    const summed = (
      name: 'weight' | 'bias',
      parts: GPUBuffer | undefined,
      result: Required<GpuTensor>,
      into: (parts: GPUBufferBinding) => void,
    ): void => {
      const source = parts === undefined ? bound(result) : { buffer: parts };
      into(source);
      if (parts === undefined) return;
      run(request(totals, lines), elementCount(result.shape), [
        ...[table(`${name} totals`), source, source, bound(result)],
      ]);
    };
    if (gradWeight !== null) {
      picked(texels, 'wide', pickedTexels(plan.wide), [gradOutput, mask], prepared.wideTexels.createView());
      picked(texels, 'input', pickedTexels(plan.input), [x, x], prepared.inputTexels.createView());
      summed('weight', prepared.weightParts, gradWeight, (parts) => {
        run(request(weightGradient, { ...tile }), weightInvocations(spec, tile) * weightSplit.parts, [
          ...[table('weight gradient'), prepared.inputTexels.createView(), prepared.wideTexels.createView(), parts],
        ]);
      });
    }
    if (gradBias !== null) {
      summed('bias', prepared.biasParts, gradBias, (parts) => {
        run(request(biases, lines), biasSplit.parts * spec.outChannels, [
          ...[table('bias parts'), gradOutput, mask, parts],
        ]);
      });
    }
    if (gradInput !== null) {
      picked(wideElements(spec), 'wide', pickedElements(plan.wide), [gradOutput, mask], bound(wide));
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
    for (const prepared of this.#prepared.values())
      made(prepared).forEach((one) => {
        one.destroy();
      });
    this.#prepared.clear();
    this.#retired.destroy();
  }

  #plan(input: InputExtents, output: Size): Planned {
    const plan = planGradients(this.#spec, input, output);
    const layerPlan = planLayer(plan.spec, plan.wideShape, undefined, this.capabilities);
    const quadsOf = (channels: number): number => Math.ceil(channels / this.#spec.groups / 4);
    const { software } = this.capabilities;
    const most = software ? 4 : 2;
    const tile = {
      WORKGROUP_SIZE: software ? 8 : 64,
      ROWS: Math.min(most, quadsOf(this.#spec.inChannels)),
      COLUMNS: Math.min(most, quadsOf(this.#spec.outChannels)),
    };
    return { plan, layerPlan, tile };
  }

  #preparedFor(input: InputExtents, output: Size): Prepared {
    const lost = lossOf(this.device);
    if (lost !== undefined) throw lost;
    const key = [input.batch, input.height, input.width, ...output].join();
    let prepared = this.#prepared.get(key);
    if (prepared === undefined) prepared = this.#make(input, output);
    else this.#prepared.delete(key);
    this.#prepared.set(key, prepared);
    const [oldest] = this.#prepared;
    if (oldest !== undefined && this.#prepared.size > KEPT_SHAPES) {
      this.#prepared.delete(oldest[0]);
      for (const one of made(oldest[1])) {
        // An encoder that names it may not be submitted yet.
        if (this.#named) this.#retired.add(one);
        else one.destroy();
      }
      oldest[1].layer.release(oldest[1].layerPlan);
    }
    return prepared;
  }

  #make(input: InputExtents, output: Size): Prepared {
    const { device, capabilities } = this;
    const spec = this.#spec;
    const { plan, layerPlan, tile } = this.#plan(input, output);
    const [kh, kw] = spec.kernelSize;
    const [ins, outs] = [spec.inChannels / spec.groups, spec.outChannels / spec.groups];
    const weightElementCount = spec.inChannels * outs * kh * kw;
    const weightSplit = split(
      input.batch * input.height,
      weightElementCount,
      weightInvocations(spec, tile),
      capabilities,
    );
    const biasSplit = split(input.batch * output[0], spec.outChannels, spec.outChannels, capabilities);
    // Before anything is made, for nobody would let go of it.
    const { maxBufferSize, maxStorageBufferBindingSize, maxTextureDimension2D } = device.limits;
    for (const [name, count] of Object.entries({
      "the output's gradient": input.batch * spec.outChannels * output[0] * output[1],
      'the input': pickedElements(plan.input),
      "the output's gradient by class": pickedElements(plan.wide),
      'the packed weight': packedElements(plan.spec),
      "the weight's gradient": weightElementCount,
    })) {
      checkFits(device, name, 4 * count, Math.min(maxBufferSize, maxStorageBufferBindingSize));
    }
    for (const pick of [plan.wide, plan.input]) {
      checkFits(device, 'texels', textureBytes(pickedTexels(pick)), textureBytes(1) * maxTextureDimension2D);
    }
    this.#layer ??= new GpuLayer(device, plan.spec, capabilities);
    const [ob, , oc, , oh, ow] = plan.wide.strides;
    const table = (words: readonly number[]): GPUBuffer => {
      const usage = GPUBufferUsage.UNIFORM | GPUBufferUsage.STORAGE;
      return bufferFrom(
        device,
        'conv-transpose2d gradient tables',
        usage,
        new Uint8Array(Uint32Array.from(words).buffer),
      );
    };
    const masked = Number(spec.activation === 'relu');
    const [a, b, c, d, e] = plan.weightSteps;
    const tables = new Map<TableName, GPUBuffer>([
      ['wide params', table(pickParams(plan.wide, masked))],
      ['wide places', table([...plan.wide.places])],
      ['input params', table(pickParams(plan.input, 0))],
      ['input places', table([...plan.input.places])],
      ['weight params', table(pickParams(plan.weight, 0))],
      ['weight places', table([...plan.weight.places])],
      [
        'weight gradient',
        table([
          ...[input.batch, spec.groups, ins, outs, input.height, input.width, ...plan.wide.extent, kh, kw],
          ...[plan.rows.tapStep, plan.columns.tapStep, plan.rows.inputStep, plan.columns.inputStep],
          ...[...plan.wide.classes, weightSplit.each, weightSplit.parts, a, b, c, d, e, weightElementCount],
        ]),
      ],
      ['weight totals', table([weightSplit.parts, weightElementCount])],
      [
        'bias parts',
        table([
          ...[biasSplit.parts, biasSplit.each, input.batch * output[0], output[0], output[1], spec.outChannels],
          ...[ob, oc, oh, ow, masked, 0],
        ]),
      ],
      ['bias totals', table([biasSplit.parts, spec.outChannels])],
    ]);
    const buffer = (name: string, elements: number): GPUBuffer =>
      makeBuffer(device, { label: `conv-transpose2d ${name}`, size: 4 * elements, usage: GPUBufferUsage.STORAGE });
    const parts = (name: string, { parts }: Split, elements: number): GPUBuffer | undefined =>
      parts === 1 ? undefined : buffer(name, parts * elements);
    const texels = (name: string, count: number): GPUTexture =>
      makeTexture(device, {
        label: `conv-transpose2d ${name}`,
        size: [TEXELS_IN_LINE, Math.ceil(count / TEXELS_IN_LINE)],
        format: TEXEL_FORMAT,
        usage: GPUTextureUsage.TEXTURE_BINDING | GPUTextureUsage.STORAGE_BINDING,
      });
    return {
      ...{ plan, layer: this.#layer, layerPlan, tile, weightSplit, biasSplit, tables },
      wide: {
        shape: plan.wideShape,
        buffer: buffer("the output's gradient by class", pickedElements(plan.wide)),
        dtype: 'float32',
        offset: 0,
      },
      wideTexels: texels("the output's gradient in texels", pickedTexels(plan.wide)),
      inputTexels: texels('the input in texels', pickedTexels(plan.input)),
      weightParts: parts("the weight's gradient in parts", weightSplit, weightElementCount),
      biasParts: parts("the bias's gradient in parts", biasSplit, spec.outChannels),
    };
  }

  #bind({ shader }: PipelineRequest, resources: readonly GPUBindingResource[]): GPUBindGroup {
    return this.device.createBindGroup({
      label: 'conv-transpose2d gradients',
      layout: bindGroupLayout(this.device, shader),
      entries: resources.map((resource, binding) => ({ binding, resource })),
    });
  }
}

interface Planned {
  readonly plan: GradientPlan;
  readonly layerPlan: LayerPlan;
  readonly tile: Tile;
}

/** The words of `gradient_operands.wgsl`'s Params. */
const pickParams = ({ batch, groups, classes, channels, inner, extent, strides }: Pick, masked: number): number[] => [
  ...[batch, groups, ...classes, channels, inner, ...extent, ...strides],
  ...[masked, 0],
];

/** Invocations of one part of the weight's gradient. */
function weightInvocations({ inChannels, outChannels, groups, kernelSize }: Spec, { ROWS, COLUMNS }: Tile): number {
  const blocks = (channels: number, quadsInTile: number): number => Math.ceil(channels / groups / 4 / quadsInTile);
  return groups * kernelSize[0] * kernelSize[1] * blocks(inChannels, ROWS) * blocks(outChannels, COLUMNS);
}

const bytesOf = ({ shape }: Required<GpuTensor>): number => 4 * elementCount(shape);

const bound = (tensor: Required<GpuTensor>): GPUBufferBinding => ({
  buffer: tensor.buffer,
  offset: tensor.offset,
  size: bytesOf(tensor),
});

const made = (prepared: Prepared): (GPUBuffer | GPUTexture)[] => [
  ...prepared.tables.values(),
  ...[prepared.wide.buffer, prepared.wideTexels, prepared.inputTexels],
  ...[prepared.weightParts, prepared.biasParts].filter((buffer) => buffer !== undefined),
];

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
    const staged = await inScopes(device, () => {
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
      const copies = [copy(results.gradInput), copy(results.gradWeight), copy(results.gradBias)] as const;
      device.queue.submit([encoder.finish()]);
      for (const tensor of [...Object.values(on), ...Object.values(results)]) tensor?.buffer.destroy();
      return copies;
    });
    const [gradInput, gradWeight, gradBias] = await Promise.all(staged.map((one) => readStaging(device, one, stop)));
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
