/**
 * How a layer's call runs, decided before anything is made: pure functions from spec, shape and capabilities to plain data.
 *
 * A call is one or more **problems**. A problem is a whole small transposed convolution with its own addresses: a tensor
 * beyond the device's binding limit is cut by batch, channels or rows into problems that fit, and the kernels never know.
 */
import { ConvTranspose2dError } from './errors.ts';
import { axisGeometry, axisPhases, usefulTaps, type Axis, type AxisParameters } from './geometry.ts';
import { chooseKernel, type KernelChoice } from './kernels.ts';
import {
  checkInputShape,
  layoutShape,
  outputExtents,
  weightShape,
  type InputExtents,
  type Size,
  type Spec,
} from './options.ts';
import { bytesPerElement, elementCount } from './tensors.ts';
import type { Dispatch, Phase, Plan } from './types.ts';

/** What a plan may count on. */
export interface Capabilities {
  readonly device: Plan['device'];
  /** Why this device, for the plan's reason. */
  readonly because: string;
  readonly limits: Limits;
  readonly shaderF16: boolean;
  /** A GPU emulated on the CPU: it gains from registers, and nothing from workgroup memory. */
  readonly software: boolean;
  /** Kernels that computed wrong numbers on this adapter; grows. */
  readonly setAside?: ReadonlySet<string>;
  /** Chooses the kernel in place of the rules: for tests and measurements. */
  readonly choose?: (problem: Problem) => KernelChoice;
}

export interface Limits {
  readonly maxBufferSize: number;
  readonly maxStorageBufferBindingSize: number;
  readonly minStorageBufferOffsetAlignment: number;
  readonly maxComputeWorkgroupsPerDimension: number;
}

/** Elements between neighbours along each dimension of a tensor, and where the tensor's first element is. */
export interface Addresses {
  readonly base: number;
  readonly batch: number;
  readonly group: number;
  readonly channel: number;
  readonly row: number;
  readonly column: number;
}

/** A transposed convolution with every address and index explicit: what one dispatch computes. */
export interface Problem {
  readonly batch: number;
  readonly groups: number;
  /** Of one group, as `outChannels`. */
  readonly inChannels: number;
  readonly outChannels: number;
  readonly rows: Axis;
  readonly columns: Axis;
  readonly input: Addresses;
  readonly output: Addresses;
  /** Of the packed weights, [group][kernel row][kernel column][input channel][output channel], of `elements` in all. */
  readonly weight: Record<'elements' | 'base' | 'group' | 'tap' | 'channel', number>;
  readonly bias: { readonly base: number; readonly group: number };
  /** Whether sums start from the bias, rather than from what an earlier problem left in the output. */
  readonly begins: boolean;
  /** Whether the sums are complete: the activation is applied. */
  readonly finishes: boolean;
}

/** Bytes of a tensor, counted from its own first byte. */
export interface Range {
  readonly offset: number;
  readonly size: number;
}

/** One dispatch of a problem, with what it binds. */
export interface Part {
  readonly problem: Problem;
  readonly input: Range;
  readonly output: Range;
  readonly choice: KernelChoice;
  readonly workgroups: Dispatch['workgroups'];
  /** By `choice.quick`. */
  readonly quick:
    (Pick<KernelChoice, 'kernel' | 'constants'> & { readonly workgroups: Dispatch['workgroups'] }) | undefined;
}

/** How float16 tensors are read and written: by kernels, or by passes of their own around kernels that know float32 alone. */
export type Storage = 'float32' | 'float16' | 'expanded';

export interface LayerPlan {
  readonly plan: Plan;
  readonly storage: Storage;
  readonly parts: readonly Part[];
  /** Of the whole call: rows, columns. */
  readonly axes: readonly [AxisParameters, AxisParameters];
  /** Elements of the input and the output. */
  readonly inputElements: number;
  readonly outputElements: number;
  /** Linear pieces of the passes that expand and compress float16, each within the binding limit; in elements. */
  readonly expand: readonly Range[];
  readonly compress: readonly Range[];
  /** Texels of an input, at most. */
  readonly texels: number;
  /** Of the passes that convert elements or write texels, an invocation each. */
  readonly workgroupsFor: (invocations: number) => Dispatch['workgroups'];
}

export const roundUp = (value: number, multiple: number): number => Math.ceil(value / multiple) * multiple;

/** Channels of one group in the packed weights: whole vec4s. */
export const paddedOutChannels = (spec: Spec): number => roundUp(spec.outChannels / spec.groups, 4);
export const paddedInChannels = (spec: Spec): number => roundUp(spec.inChannels / spec.groups, 4);

/** Elements of the packed weights: they are a texture's texels, too. */
export function packedElements(spec: Spec): number {
  const taps = spec.groups * spec.kernelSize[0] * spec.kernelSize[1];
  const [width, lines] = textureSize((taps * paddedInChannels(spec) * paddedOutChannels(spec)) / 4);
  return 4 * width * lines;
}

/**
 * A linear count of workgroups as a grid: rows as long as the limit lets them be of equal length. Kernels read it back as
 * y · (row length) + x and leave the few beyond the count alone.
 */
export function fold(workgroups: number, perDimension: number): [number, number, number] {
  const rows = Math.ceil(workgroups / perDimension);
  return rows <= 1 ? [workgroups, 1, 1] : [Math.ceil(workgroups / rows), rows, 1];
}

/** Plans that a layer keeps, by shape; what the least recently used one holds is let go. */
export const KEPT_PLANS = 64;

/** Invocations in a workgroup of the passes that convert or permute elements. */
export const CONVERT_WORKGROUP = 64;

/** Texels in a line of the textures that kernels in registers read: `place` in the shaders. */
export const TEXELS_IN_LINE = 4096;

/** Of a texture that holds so many texels: one line, or whole ones. */
export const textureSize = (texels: number): [width: number, lines: number] => [
  Math.min(texels, TEXELS_IN_LINE),
  Math.ceil(texels / TEXELS_IN_LINE),
];

/** Bytes of a texture that holds so many texels of four float32, in whole lines. */
export const textureBytes = (texels: number): number => 16 * roundUp(texels, TEXELS_IN_LINE);

/** A cut of the whole: ranges [from, count) of each dimension. */
interface Cut {
  readonly batch: Interval;
  readonly groups: Interval;
  /** Within a group; whole unless the cut has one group. */
  readonly inChannels: Interval;
  readonly outChannels: Interval;
  readonly rows: Interval;
}
interface Interval {
  readonly from: number;
  readonly count: number;
}

/** Two halves; the first a multiple of 4 where that leaves two. */
const halves = ({ from, count }: Interval): Interval[] => {
  const half = Math.ceil(count / 2);
  const first = count > 4 ? Math.min(roundUp(half, 4), count - 1) : half;
  return [
    { from, count: first },
    { from: from + first, count: count - first },
  ];
};

const wrap = (value: number): number => ((value % 2 ** 32) + 2 ** 32) % 2 ** 32;

/** Of a tensor in the layout of the spec. */
export function addressesOf(spec: Spec, channels: number, [height, width]: Size): Addresses {
  const channelsLast = spec.layout === 'NHWC';
  const channel = channelsLast ? 1 : height * width;
  const column = channelsLast ? channels : 1;
  return {
    base: 0,
    batch: channels * height * width,
    group: (channels / spec.groups) * channel,
    channel,
    row: width * column,
    column,
  };
}

/** Plans a call. @throws ConvTranspose2dError INVALID_ARGUMENT; UNSUPPORTED where the limits cannot be met */
export function planLayer(spec: Spec, inputShape: unknown, asked: unknown, capabilities: Capabilities): LayerPlan {
  const input = checkInputShape(spec, inputShape);
  const output = outputExtents(spec, input, asked);
  const rows: AxisParameters = axisParameters(spec, input.height, output, 0);
  const columns: AxisParameters = axisParameters(spec, input.width, output, 1);
  const outputShape = layoutShape(spec, input, spec.outChannels, output);
  const inputElements = input.batch * spec.inChannels * input.height * input.width;
  const outputElements = elementCount(outputShape);

  const native = spec.dtype === 'float16' && capabilities.shaderF16;
  let storage: Storage = spec.dtype === 'float32' ? 'float32' : native ? 'float16' : 'expanded';
  let cuts = cutToFit(spec, input, output, rows, storage, capabilities.limits);
  if (storage === 'float16' && cuts.some((cut) => cut.inChannels.count < spec.inChannels / spec.groups)) {
    // Partial sums pass through the output: in float16 they would be rounded on the way.
    storage = 'expanded';
    cuts = cutToFit(spec, input, output, rows, storage, capabilities.limits);
  }

  const element = bytesPerElement(spec.dtype);
  const { limits } = capabilities;
  refuseBeyond(limits.maxBufferSize, 'buffers', {
    input: inputElements * element,
    output: outputElements * element,
    'expanded float16': storage === 'expanded' ? 4 * Math.max(inputElements, outputElements) : 0,
  });
  // Parameters are packed and read as a whole.
  const weightBytes = elementCount(weightShape(spec)) * element;
  refuseBeyond(Math.min(limits.maxBufferSize, limits.maxStorageBufferBindingSize), 'bindings', {
    weight: weightBytes,
    'packed weight': packedElements(spec) * 4,
    bias: spec.outChannels * 4,
  });

  const outer = { spec, input, output, rows, columns, storage, capabilities };
  const phases = phasesOf(rows, columns);
  const parts = cuts.map((cut) => plannedPart(outer, cut));
  const texels = Math.max(0, ...parts.map(({ choice }) => choice.texels ?? 0));
  const scratch = (storage === 'expanded' ? 4 * (inputElements + outputElements) : 0) + textureBytes(texels);
  const { choice } = parts[0] ?? plannedPart(outer, wholeCut(spec, input, output));
  const workgroupsFor = (invocations: number): Dispatch['workgroups'] =>
    fold(Math.ceil(invocations / CONVERT_WORKGROUP), limits.maxComputeWorkgroupsPerDimension);
  const pieces = (elements: number): Range[] => (storage === 'expanded' ? linearPieces(elements, limits) : []);
  const expand = pieces(inputElements);
  const compress = pieces(outputElements);

  const plan: Plan = {
    kernel: choice.kernel,
    reason: `${choice.reason}; ${capabilities.because}`,
    device: capabilities.device,
    outputShape,
    phases,
    dispatches: [
      ...expand.map((piece) => ({ kernel: 'expand-float16', workgroups: workgroupsFor(Math.ceil(piece.size / 2)) })),
      ...parts.flatMap(({ choice: { kernel, texels }, workgroups }) => [
        ...(texels === undefined ? [] : [{ kernel: 'input-texels', workgroups: workgroupsFor(texels) }]),
        { kernel, workgroups },
      ]),
      ...compress.map((piece) => ({
        kernel: 'compress-float16',
        workgroups: workgroupsFor(Math.ceil(piece.size / 2)),
      })),
    ],
    usefulFlops:
      2 * input.batch * (spec.inChannels / spec.groups) * spec.outChannels * usefulTaps(rows) * usefulTaps(columns),
    bytes: {
      input: inputElements * element,
      weight: weightBytes,
      output: outputElements * element,
      scratch,
    },
    splits: Math.max(1, parts.length),
  };
  return {
    plan: deepFreeze(plan),
    storage,
    parts,
    axes: [rows, columns],
    inputElements,
    outputElements,
    expand,
    compress,
    texels,
    workgroupsFor,
  };
}

/** A plan lists its phases, and so many of them take a second and hundreds of megabytes. */
const MOST_PHASES = 2 ** 20;

function phasesOf(rows: AxisParameters, columns: AxisParameters): Phase[] {
  const [vertical, horizontal] = [axisPhases(rows), axisPhases(columns)];
  if (vertical.length * horizontal.length > MOST_PHASES) {
    throw new ConvTranspose2dError(
      'UNSUPPORTED',
      `the call has ${vertical.length} × ${horizontal.length} phases, and a plan at most ${MOST_PHASES}`,
    );
  }
  return vertical.flatMap((row) =>
    horizontal.map((column) => ({
      phase: [row.phase, column.phase],
      taps: [row.taps, column.taps],
      positions: [row.positions, column.positions],
    })),
  );
}

function axisParameters(spec: Spec, input: number, output: Size, axis: 0 | 1): AxisParameters {
  return {
    input,
    kernel: spec.kernelSize[axis],
    stride: spec.stride[axis],
    dilation: spec.dilation[axis],
    padding: spec.padding[axis],
    output: output[axis],
  };
}

interface Whole {
  readonly spec: Spec;
  readonly input: InputExtents;
  readonly output: Size;
  readonly rows: AxisParameters;
  readonly columns: AxisParameters;
  readonly storage: Storage;
  readonly capabilities: Capabilities;
}

function wholeCut(spec: Spec, input: InputExtents, output: Size): Cut {
  return {
    batch: { from: 0, count: input.batch },
    groups: { from: 0, count: spec.groups },
    inChannels: { from: 0, count: spec.inChannels / spec.groups },
    outChannels: { from: 0, count: spec.outChannels / spec.groups },
    rows: { from: 0, count: output[0] },
  };
}

/** Rows of an axis cut off: the same axis with more cropped before its first output, and fewer outputs. */
const cutAxis = (axis: AxisParameters, rows: Interval): AxisParameters => ({
  ...axis,
  padding: axis.padding + rows.from,
  output: rows.count,
});

/** The inputs that an axis reads: [first, last], or nothing real. */
function inputsRead(axis: AxisParameters): readonly [number, number] {
  const reach = axis.dilation * (axis.kernel - 1);
  const first = Math.max(0, Math.ceil((axis.padding - reach) / axis.stride));
  const last = Math.min(axis.input - 1, Math.floor((axis.padding + axis.output - 1) / axis.stride));
  return first <= last ? [first, last] : [0, 0];
}

/** The element intervals, from the tensor's first element, that a cut touches. */
function touched({ spec, input, output, rows }: Pick<Whole, 'spec' | 'input' | 'output' | 'rows'>, cut: Cut) {
  const [ins, outs] = [spec.inChannels / spec.groups, spec.outChannels / spec.groups];
  const channels = (perGroup: number, { from, count }: Interval): Interval =>
    cut.groups.count > 1
      ? { from: cut.groups.from * perGroup, count: cut.groups.count * perGroup }
      : { from: cut.groups.from * perGroup + from, count };
  const interval = (a: Addresses, channel: Interval, row: Interval, width: number) => ({
    from: cut.batch.from * a.batch + channel.from * a.channel + row.from * a.row,
    to:
      (cut.batch.from + Math.max(0, cut.batch.count - 1)) * a.batch +
      (channel.from + channel.count - 1) * a.channel +
      (row.from + row.count - 1) * a.row +
      (width - 1) * a.column +
      1,
  });
  const [first, last] = inputsRead(cutAxis(rows, cut.rows));
  const inputAddresses = addressesOf(spec, spec.inChannels, [input.height, input.width]);
  const outputAddresses = addressesOf(spec, spec.outChannels, output);
  return {
    inputAddresses,
    outputAddresses,
    input: interval(
      inputAddresses,
      channels(ins, cut.inChannels),
      { from: first, count: last - first + 1 },
      input.width,
    ),
    output: interval(outputAddresses, channels(outs, cut.outChannels), cut.rows, output[1]),
  };
}

/** A binding that covers elements [from, to): its offset aligned down, its size in whole words. */
function binding({ from, to }: { from: number; to: number }, bytes: number, alignment: number): Range {
  const offset = Math.floor((from * bytes) / alignment) * alignment;
  return { offset, size: roundUp(to * bytes - offset, 4) };
}

/** Cuts a call until every part's tensors fit a binding: along the dimension that lies outermost in memory. */
function cutToFit(
  spec: Spec,
  input: InputExtents,
  output: Size,
  rows: AxisParameters,
  storage: Storage,
  limits: Limits,
): Cut[] {
  const bytes = storage === 'float16' ? 2 : 4;
  const limit = limits.maxStorageBufferBindingSize;
  const most = 4096;
  const done: Cut[] = [];
  const todo = input.batch === 0 ? [] : [wholeCut(spec, input, output)];
  for (let cut = todo.pop(); cut !== undefined; cut = todo.pop()) {
    const ranges = touched({ spec, input, output, rows }, cut);
    const size = {
      input: binding(ranges.input, bytes, limits.minStorageBufferOffsetAlignment).size,
      output: binding(ranges.output, bytes, limits.minStorageBufferOffsetAlignment).size,
    };
    const over = (['input', 'output'] as const).find((name) => size[name] > limit);
    if (over === undefined) {
      done.push(cut);
      continue;
    }
    const pieces = halve(spec, cut, over);
    if (pieces === undefined || done.length + todo.length > most) {
      throw new ConvTranspose2dError(
        'UNSUPPORTED',
        `${over} takes ${size[over]} bytes in one binding, the device allows ${limit}, and ${
          pieces === undefined ? 'it cannot be cut further' : `it would take more than ${most} parts`
        }`,
      );
    }
    todo.push(...pieces.reverse());
  }
  return done;
}

function halve(spec: Spec, cut: Cut, over: 'input' | 'output'): Cut[] | undefined {
  const along = (dimension: keyof Cut): Cut[] | undefined =>
    cut[dimension].count > 1
      ? halves(cut[dimension]).map((interval) => ({ ...cut, [dimension]: interval }))
      : undefined;
  if (spec.layout === 'NHWC') return along('batch') ?? along('rows');
  return along('batch') ?? along('groups') ?? along(over === 'input' ? 'inChannels' : 'outChannels') ?? along('rows');
}

function plannedPart(whole: Whole, cut: Cut): Part {
  const { spec, rows, columns, storage, capabilities } = whole;
  const { limits } = capabilities;
  const bytes = storage === 'float16' ? 2 : 4;
  const ranges = touched(whole, cut);
  const alignment = limits.minStorageBufferOffsetAlignment;
  const input = binding(ranges.input, bytes, alignment);
  const output = binding(ranges.output, bytes, alignment);

  const [ins, outs] = [spec.inChannels / spec.groups, spec.outChannels / spec.groups];
  const padded = paddedOutChannels(spec);
  const tap = paddedInChannels(spec) * padded;
  const group = spec.kernelSize[0] * spec.kernelSize[1] * tap;
  const start = (a: Addresses, channel: number, row: number): number =>
    cut.batch.from * a.batch + cut.groups.from * a.group + channel * a.channel + row * a.row;
  const problem: Problem = {
    batch: cut.batch.count,
    groups: cut.groups.count,
    inChannels: cut.inChannels.count,
    outChannels: cut.outChannels.count,
    rows: axisGeometry(cutAxis(rows, cut.rows)),
    columns: axisGeometry(columns),
    // Input rows are numbered from the tensor's own first row, output rows from the cut's: bases may lie before the binding.
    input: {
      ...ranges.inputAddresses,
      base: wrap(start(ranges.inputAddresses, cut.inChannels.from, 0) - input.offset / bytes),
    },
    output: {
      ...ranges.outputAddresses,
      base: wrap(start(ranges.outputAddresses, cut.outChannels.from, cut.rows.from) - output.offset / bytes),
    },
    weight: {
      elements: packedElements(spec),
      base: cut.groups.from * group + cut.inChannels.from * padded + cut.outChannels.from,
      group,
      tap,
      channel: padded,
    },
    bias: { base: cut.groups.from * outs + cut.outChannels.from, group: outs },
    begins: cut.inChannels.from === 0,
    finishes: cut.inChannels.from + cut.inChannels.count === ins,
  };
  const choice = chooseKernel(problem, capabilities);
  const most = limits.maxComputeWorkgroupsPerDimension;
  const workgroups = fold(choice.workgroups, most);
  if (workgroups[1] > most) {
    throw new ConvTranspose2dError(
      'UNSUPPORTED',
      `the call takes ${choice.workgroups} workgroups, the device allows ${most}²`,
    );
  }
  const quick = choice.quick && { ...choice.quick, workgroups: fold(choice.quick.workgroups, most) };
  return {
    problem,
    input,
    output,
    choice,
    workgroups,
    quick: quick && quick.workgroups[1] <= most ? quick : undefined,
  };
}

/** Pieces of a tensor of elements for the float16 passes: whole alignment units, bindings of 4 bytes an element within the limit. */
function linearPieces(elements: number, limits: Limits): Range[] {
  const most = Math.floor(limits.maxStorageBufferBindingSize / 4 / limits.minStorageBufferOffsetAlignment);
  const piece = most * limits.minStorageBufferOffsetAlignment;
  return Array.from({ length: Math.ceil(elements / piece) }, (_, i) => ({
    offset: i * piece,
    size: Math.min(piece, elements - i * piece),
  }));
}

function refuseBeyond(limit: number, what: 'buffers' | 'bindings', sizes: Record<string, number>): void {
  for (const [name, bytes] of Object.entries(sizes)) {
    if (bytes > limit) {
      throw new ConvTranspose2dError(
        'UNSUPPORTED',
        `${name} takes ${bytes} bytes, the device allows ${what} of ${limit}`,
      );
    }
  }
}

function deepFreeze<T>(value: T): T {
  if (typeof value === 'object' && value !== null && !Object.isFrozen(value)) {
    Object.freeze(value);
    for (const inner of Object.values(value)) deepFreeze(inner);
  }
  return value;
}
