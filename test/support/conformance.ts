/** The cases in test/conformance: what other systems' own tests expect, as calls of ours. */
import {
  fromCaffe,
  fromKeras,
  fromMxnet,
  fromOnnx,
  fromTensorFlow,
  fromWebNN,
  type OnnxAttributes,
} from '../../src/frameworks/index.ts';
import type { Activation, ConvTranspose2dOptions, DType, HostTensor } from '../../src/types.ts';
import { lengthOf, tensorOf } from './tensors.ts';
import type { Problem, SourceTolerance } from './tolerance.ts';

type Four = readonly [number, number, number, number];
type Two = readonly [number, number];

interface CaseTensor {
  readonly shape: readonly number[];
  readonly data?: readonly number[];
  readonly fill?: number;
  readonly gen?: { readonly seed: number };
}

/** Sums over all values, and some of them by flat index: what is kept of a large result. */
export interface Digest {
  readonly sum: number;
  readonly sumAbs: number;
  readonly sumSq: number;
  readonly samples: readonly Two[];
}

/** A case as it is written down; README.md beside the cases explains the fields. */
export interface Case {
  readonly name: string;
  readonly file: string;
  readonly rule: 'torch' | 'webnn' | 'onnx' | 'tf' | 'mxnet' | 'keras';
  readonly layout: 'NCHW' | 'NHWC' | 'CHW' | 'HWC';
  readonly filterLayout: 'iohw' | 'hwoi' | 'ohwi';
  readonly dtype: DType;
  readonly input: CaseTensor;
  readonly weight: CaseTensor;
  readonly bias: CaseTensor | null;
  readonly attrs: {
    readonly stride: Two;
    readonly padding: Four | null;
    readonly auto_pad: string | null;
    readonly output_padding: Two | null;
    readonly output_size: Two | null;
    readonly groups: number;
    readonly dilation: Two;
    readonly native?: Readonly<Record<string, unknown>>;
  };
  readonly activation: Activation | null;
  readonly expected: { readonly shape: readonly number[]; readonly data?: readonly number[]; readonly digest?: Digest };
  readonly tolerance: SourceTolerance | null;
  readonly resolved: { readonly padding: Four; readonly output_size: Two; readonly full_size: Two };
  readonly tags?: readonly string[];
}

/** Something that a system refuses, or that looks as if it would. */
export interface ErrorCase {
  readonly name: string;
  readonly source: string;
  readonly attrs: Readonly<Record<string, unknown>>;
  readonly accepted?: boolean;
  readonly result?: readonly number[];
}

/** One axis: input size, kernel, dilation, stride, padding, output size, implied output padding. */
export type GridRow = readonly [number, number, number, number, number, number, number];

const files = import.meta.glob<unknown>('../conformance/cases/*.json', { eager: true, import: 'default' });

function file(name: string): unknown {
  const contents = files[`../conformance/cases/${name}.json`];
  if (contents === undefined) throw new Error(`test/conformance/cases/${name}.json is missing`);
  return contents;
}

const caseFiles = [
  'caffe',
  'conv_arithmetic',
  'keras',
  'mxnet',
  'onnx',
  'ort',
  'seeds',
  'semantics',
  'tf',
  'tfjs',
  'torch',
  'webnn-baseline',
  'wpt',
];

/** Every case of a result. A file that is neither read here nor below is a mistake. */
export const cases: readonly Case[] = caseFiles.flatMap((name) =>
  (file(name) as Case[]).map((entry) => ({ ...entry, file: name })),
);
export const errorCases: readonly ErrorCase[] = file('errors') as ErrorCase[];
export const outputSizeGrid: readonly GridRow[] = (file('torch-output-size-grid') as { rows: GridRow[] }).rows;
export const knownFiles: readonly string[] = [...caseFiles, 'errors', 'gradients', 'torch-output-size-grid'];
export const presentFiles: readonly string[] = Object.keys(files).map((path) => path.replace(/^.*\/|\.json$/g, ''));

/** A case's tensor, of its dtype. */
function tensor(dtype: DType, { shape, data, fill, gen }: CaseTensor): HostTensor {
  if (data !== undefined) return tensorOf(shape, data, dtype);
  const value = (at: number): number =>
    gen === undefined ? (fill ?? 0) : ((Math.imul(at + 1 + 101 * gen.seed, 0x9e3779b1) >>> 27) - 16) / 8;
  const numbers = Float64Array.from({ length: lengthOf(shape) }, (_, at) => value(at));
  return tensorOf(shape, numbers, dtype);
}

/** The operands of a case, without options. */
export function operandsOf({ input, weight, bias, dtype }: Case): Omit<Problem, 'options'> {
  return {
    input: tensor(dtype, input),
    weight: tensor(dtype, weight),
    bias: bias === null ? undefined : tensor(dtype, bias),
  };
}

/** What our options say in every case, whoever's rule decides. */
function common({ layout, filterLayout, activation, attrs }: Case): ConvTranspose2dOptions {
  return {
    layout: layout.endsWith('CHW') ? 'NCHW' : 'NHWC',
    weightLayout: filterLayout.toUpperCase() as 'IOHW' | 'HWOI' | 'OHWI',
    activation: activation ?? 'none',
    stride: attrs.stride,
    dilation: attrs.dilation,
    groups: attrs.groups,
  };
}

/** The common form that every rule reduces to: four paddings. */
export function resolvedOptions(entry: Case): ConvTranspose2dOptions {
  return { ...common(entry), padding: entry.resolved.padding };
}

/** The options by the rule of the case's own system: PyTorch's as they are, others through their importer. */
export function optionsByRule(entry: Case): ConvTranspose2dOptions {
  const imported = importerOf(entry);
  if (imported === undefined) return { ...common(entry), ...torchOptions(entry) };
  const { weightLayout, activation } = common(entry);
  return { ...imported, weightLayout, activation };
}

/** Cases that no importer can say: this one adds more output padding than WebNN's stride allows. */
export function hasRule({ rule, tags }: Case): boolean {
  return !(rule === 'webnn' && tags?.includes('output_padding >= stride'));
}

function torchOptions({ attrs }: Case): ConvTranspose2dOptions {
  const [top, left, bottom, right] = attrs.padding ?? [0, 0, 0, 0];
  if (top !== bottom || left !== right) throw new Error('PyTorch pads both ends alike');
  return {
    padding: [top, left],
    outputPadding: attrs.output_padding ?? undefined,
    outputSize: attrs.output_size ?? undefined,
  };
}

function importerOf(entry: Case): ConvTranspose2dOptions | undefined {
  const { rule, attrs, file: from } = entry;
  const [inputShape, filterShape] = [batched(entry.input.shape), entry.weight.shape];
  const { native = {} } = attrs;
  const [N, C, H, W, O] = sizesOf(entry);
  const channelsLast = entry.layout.endsWith('C');
  switch (rule) {
    case 'torch':
      if (from !== 'caffe') return undefined;
      return fromCaffe({
        num_output: O * attrs.groups,
        kernel_h: H,
        kernel_w: W,
        stride_h: attrs.stride[0],
        stride_w: attrs.stride[1],
        pad_h: attrs.padding?.[0],
        pad_w: attrs.padding?.[1],
        dilation: attrs.dilation,
        group: attrs.groups,
      });
    case 'onnx':
      return fromOnnx({
        inputShape,
        weightShape: filterShape,
        ...(attrs.native ? lifted(native) : onnxAttributes(entry)),
      });
    case 'webnn': {
      const spelled = attrs.native && !('adjacent' in native) ? native : webnnAttributes(entry);
      return fromWebNN({ inputShape, filterShape, ...spelled });
    }
    case 'mxnet':
      return fromMxnet({
        inputShape,
        kernel: [H, W],
        stride: attrs.stride,
        dilate: attrs.dilation,
        num_filter: O * attrs.groups,
        num_group: attrs.groups,
        pad: attrs.padding?.slice(0, 2),
        adj: attrs.output_padding ?? undefined,
        target_shape: attrs.output_size ?? undefined,
        ...lifted(native, attrs.output_size ?? undefined),
      });
    case 'tf': {
      const [height, width] = attrs.output_size!;
      const [top, left, bottom, right] = attrs.padding ?? [0, 0, 0, 0];
      const sides = [
        [top, bottom],
        [left, right],
      ] as const;
      const none = [0, 0] as const;
      return fromTensorFlow({
        inputShape,
        filterShape: [H, W, O, C],
        outputShape: channelsLast ? [N, height, width, O] : [N, O, height, width],
        strides: attrs.stride,
        padding:
          (attrs.auto_pad as 'SAME' | 'VALID' | null) ??
          (channelsLast ? [none, ...sides, none] : [none, none, ...sides]),
        dataFormat: channelsLast ? 'NHWC' : 'NCHW',
        dilations: attrs.dilation,
      });
    }
    case 'keras':
      return fromKeras({
        inputShape,
        kernelShape: filterShape,
        strides: attrs.stride,
        padding: attrs.auto_pad as 'same' | 'valid',
        outputPadding: attrs.output_padding,
        dataFormat: channelsLast ? 'channels_last' : 'channels_first',
        dilationRate: attrs.dilation,
      });
  }
}

/** Batch, input channels, kernel height and width, output channels of one group. */
function sizesOf({ input, weight, filterLayout }: Case): readonly [number, number, number, number, number] {
  const size = (axis: string): number => weight.shape[filterLayout.indexOf(axis)]!;
  return [batched(input.shape)[0]!, size('i'), size('h'), size('w'), size('o')];
}

const batched = (shape: readonly number[]): readonly number[] => (shape.length === 3 ? [1, ...shape] : shape);

/** ONNX's attributes where a case does not spell them. */
function onnxAttributes({ attrs }: Case): Omit<OnnxAttributes, 'inputShape' | 'weightShape'> {
  return {
    auto_pad: (attrs.auto_pad as 'SAME_UPPER' | 'SAME_LOWER' | 'VALID' | null) ?? undefined,
    pads: attrs.auto_pad === null && attrs.padding ? attrs.padding : undefined,
    strides: attrs.stride,
    dilations: attrs.dilation,
    group: attrs.groups,
    output_padding: attrs.output_padding ?? undefined,
    output_shape: attrs.output_size ?? undefined,
  };
}

function webnnAttributes(entry: Case): Omit<Parameters<typeof fromWebNN>[0], 'inputShape' | 'filterShape'> {
  const { attrs, layout, filterLayout } = entry;
  const [top, left, bottom, right] = attrs.padding ?? [0, 0, 0, 0];
  return {
    padding: [top, bottom, left, right],
    strides: attrs.stride,
    dilations: attrs.dilation,
    outputPadding: attrs.output_padding ?? undefined,
    outputSizes: attrs.output_size ?? undefined,
    groups: attrs.groups,
    inputLayout: layout.toLowerCase() as 'nchw' | 'nhwc',
    filterLayout,
  };
}

const nothingAlongHeight: Readonly<Record<string, number>> = {
  kernel_shape: 1,
  strides: 1,
  dilations: 1,
  output_padding: 0,
  pad: 0,
  adj: 0,
};

/** Attributes of a 1-D case lifted to height 1, as the case's tensors are. */
function lifted(native: Readonly<Record<string, unknown>>, outputSize?: Two): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(native).map(([name, value]) => {
      if (name === 'pads' && Array.isArray(value) && value.length === 2) return [name, [0, value[0], 0, value[1]]];
      if (name === 'target_shape') return [name, outputSize];
      if (Array.isArray(value) && value.length === 1) return [name, [nothingAlongHeight[name], value[0]]];
      return [name, value];
    }),
  );
}
