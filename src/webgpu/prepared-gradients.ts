/** What is made once for the gradients of a shape: plan, tables and scratch memory. */
import { pickedElements, pickedTexels, planGradients, type GradientPlan, type Pick } from '../gradient-plan.ts';
import type { InputExtents, Size, Spec } from '../options.ts';
import type { Capabilities } from '../capabilities.ts';
import { packedElements } from '../packing.ts';
import { type LayerPlan, planLayer } from '../plan.ts';
import { textureBytes } from '../texels.ts';
import type { GpuTensor } from '../types.ts';
import { checkFits, makeTexels, tableFrom } from './buffers.ts';
import { makeBuffer, type Made } from './scopes.ts';

/** What an invocation of the weight's gradient computes: 4·ROWS input × 4·COLUMNS output channels. */
type Tile = Readonly<Record<'WORKGROUP_SIZE' | 'ROWS' | 'COLUMNS', number>>;

export interface PreparedGradients {
  readonly plan: GradientPlan;
  /** The plan of the input's gradient. */
  readonly layerPlan: LayerPlan;
  readonly tile: Tile;
  /** Over all parts. */
  readonly weightInvocations: number;
  readonly biasInvocations: number;
  readonly wide: Required<GpuTensor>;
  readonly wideTexels: GPUTexture;
  readonly inputTexels: GPUTexture;
  /** Undefined if one part is enough. */
  readonly weightParts: GPUBuffer | undefined;
  readonly biasParts: GPUBuffer | undefined;
  readonly tables: Readonly<Record<TableName, GPUBuffer>>;
}
export type TableName =
  | `${'wide' | 'input' | 'weight'} ${'params' | 'places'}`
  | 'weight gradient'
  | 'weight totals'
  | 'bias parts'
  | 'bias totals';

/** Makes it. Checks all sizes first, since nothing would release what was made before an error. */
export function prepareGradients(
  device: GPUDevice,
  spec: Spec,
  capabilities: Capabilities,
  input: InputExtents,
  output: Size,
): PreparedGradients {
  const plan = planGradients(spec, input, output);
  const layerPlan = planLayer(plan.spec, plan.wideShape, undefined, capabilities);
  const { groups, outChannels } = spec;
  const [kh, kw] = spec.kernelSize;
  const [ins, outs] = [spec.inChannels / groups, outChannels / groups];
  const weightElements = spec.inChannels * outs * kh * kw;

  const { maxBufferSize, maxStorageBufferBindingSize, maxTextureDimension2D } = device.limits;
  for (const [name, count] of Object.entries({
    "the output's gradient": input.batch * outChannels * output[0] * output[1],
    'the input': pickedElements(plan.input),
    "the output's gradient by class": pickedElements(plan.wide),
    'the packed weight': packedElements(plan.spec),
    "the weight's gradient": weightElements,
  })) {
    checkFits(device, name, 4 * count, Math.min(maxBufferSize, maxStorageBufferBindingSize));
  }
  for (const pick of [plan.wide, plan.input]) {
    checkFits(device, 'texels', textureBytes(pickedTexels(pick)), textureBytes(1) * maxTextureDimension2D);
  }

  const quads = (channels: number): number => Math.ceil(channels / 4);
  const { software } = capabilities;
  const most = software ? 4 : 2;
  const tile = {
    WORKGROUP_SIZE: software ? 8 : 64,
    ROWS: Math.min(most, quads(ins)),
    COLUMNS: Math.min(most, quads(outs)),
  };
  const tiles = groups * kh * kw * Math.ceil(quads(ins) / tile.ROWS) * Math.ceil(quads(outs) / tile.COLUMNS);
  const weight = split(input.batch * input.height, weightElements, tiles, capabilities);
  const bias = split(input.batch * output[0], outChannels, outChannels, capabilities);

  const table = (words: ArrayLike<number>): GPUBuffer =>
    tableFrom(device, 'conv-transpose2d gradient tables', Uint32Array.from(words).buffer);
  const masked = Number(spec.activation === 'relu');
  const [ob, , oc, , oh, ow] = plan.wide.strides;
  const tables = {
    'wide params': table(pickParams(plan.wide, masked)),
    'wide places': table(plan.wide.places),
    'input params': table(pickParams(plan.input, 0)),
    'input places': table(plan.input.places),
    'weight params': table(pickParams(plan.weight, 0)),
    'weight places': table(plan.weight.places),
    'weight gradient': table([
      ...[input.batch, groups, ins, outs, input.height, input.width, ...plan.wide.extent, kh, kw],
      ...[plan.rows.tapStep, plan.columns.tapStep, plan.rows.inputStep, plan.columns.inputStep],
      ...[...plan.wide.classes, weight.each, weight.parts, ...plan.weightSteps, weightElements],
    ]),
    'weight totals': table([weight.parts, weightElements]),
    'bias parts': table([
      ...[bias.parts, bias.each, input.batch * output[0], ...output, outChannels, ob, oc, oh, ow, masked, 0],
    ]),
    'bias totals': table([bias.parts, outChannels]),
  };
  const buffer = (name: string, elements: number): GPUBuffer =>
    makeBuffer(device, { label: `conv-transpose2d ${name}`, size: 4 * elements, usage: GPUBufferUsage.STORAGE });
  const parts = (name: string, { parts }: Split, elements: number): GPUBuffer | undefined =>
    parts === 1 ? undefined : buffer(`${name} in parts`, parts * elements);
  const texels = (name: string, pick: Pick): GPUTexture =>
    makeTexels(device, `conv-transpose2d ${name} in texels`, pickedTexels(pick));
  return {
    ...{ plan, layerPlan, tile, tables },
    weightInvocations: tiles * weight.parts,
    biasInvocations: outChannels * bias.parts,
    wide: {
      shape: plan.wideShape,
      buffer: buffer("the output's gradient by class", pickedElements(plan.wide)),
      dtype: 'float32',
      offset: 0,
    },
    wideTexels: texels("the output's gradient", plan.wide),
    inputTexels: texels('the input', plan.input),
    weightParts: parts("the weight's gradient", weight, weightElements),
    biasParts: parts("the bias's gradient", bias, outChannels),
  };
}

/** All that was made. */
export const madeOf = (prepared: PreparedGradients): Made[] => [
  ...Object.values(prepared.tables),
  ...[prepared.wide.buffer, prepared.wideTexels, prepared.inputTexels],
  ...[prepared.weightParts, prepared.biasParts].filter((buffer) => buffer !== undefined),
];

/** A sum of many terms, cut into parts that are summed side by side. */
interface Split {
  readonly parts: number;
  /** Lines that each part sums. */
  readonly each: number;
}

/** How many invocations keep an emulated or a real GPU busy. */
const BUSY = { software: 128, hardware: 65536 };
/** The most bytes that the parts of a sum may take. */
const MOST_PARTS = 64 * 2 ** 20;

function split(lines: number, elements: number, invocations: number, { software, limits }: Capabilities): Split {
  const wanted = Math.ceil((software ? BUSY.software : BUSY.hardware) / invocations);
  const room = Math.floor(Math.min(MOST_PARTS, limits.maxStorageBufferBindingSize) / (4 * elements));
  const each = Math.ceil(lines / Math.max(1, Math.min(wanted, room, lines)));
  return { parts: Math.ceil(lines / each), each };
}

/** The words of `gradient_operands.wgsl`'s Params. */
const pickParams = ({ batch, groups, classes, channels, inner, extent, strides }: Pick, masked: number): number[] => [
  ...[batch, groups, ...classes, channels, inner, ...extent, ...strides],
  ...[masked, 0],
];
