/**
 * How a layer's call runs, decided before anything is made: pure functions from spec, shape and capabilities to plain data.
 *
 * A call is one or more **problems**. A problem is a whole small transposed convolution with its own addresses: a tensor
 * beyond the device's binding limit is cut by batch, channels or rows into problems that fit, and the kernels never know.
 */
import type { Capabilities } from './capabilities.ts';
import { cutToFit, linearPieces, rangesOf, wholeCut, type Cut, type Range, type Whole } from './cuts.ts';
import { ConvTranspose2dError } from './errors.ts';
import { axisPhases, usefulTaps, type AxisParameters } from './geometry.ts';
import { chooseKernel, type KernelChoice } from './kernels.ts';
import { weightShape } from './layouts.ts';
import { checkInputShape, layoutShape, outputExtents, type Size, type Spec } from './options.ts';
import { packedElements } from './packing.ts';
import { problemOf, type Problem } from './problem.ts';
import { bytesPerElement, elementCount } from './tensors.ts';
import { textureBytes } from './texels.ts';
import type { Dispatch, Phase, Plan } from './types.ts';
import { CONVERT_WORKGROUP, fold } from './workgroups.ts';

/** How many plans a layer keeps, one for each shape. Beyond that, the one used longest ago is dropped, and what it holds released. */
export const KEPT_PLANS = 64;

/** One dispatch of a problem, with what it binds. */
export interface Part {
  readonly problem: Problem;
  readonly input: Range;
  readonly output: Range;
  readonly choice: KernelChoice;
  readonly workgroups: Dispatch['workgroups'];
  /** The same for `choice.quick`, where there is one and its grid fits the limits. */
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
  /** Texels of the largest part's input; 0 where no kernel reads texels. */
  readonly texels: number;
  /** The grid of a pass that converts elements or writes texels, one invocation for each. */
  readonly workgroupsFor: (invocations: number) => Dispatch['workgroups'];
}

/**
 * Plans a call.
 * @throws ConvTranspose2dError INVALID_ARGUMENT; UNSUPPORTED where the limits cannot be met; GPU_ERROR where every kernel is set aside
 */
export function planLayer(spec: Spec, inputShape: unknown, asked: unknown, capabilities: Capabilities): LayerPlan {
  const { limits } = capabilities;
  const input = checkInputShape(spec, inputShape);
  const output = outputExtents(spec, input, asked);
  const rows: AxisParameters = axisParameters(spec, input.height, output, 0);
  const columns: AxisParameters = axisParameters(spec, input.width, output, 1);
  const outputShape = layoutShape(spec, input, spec.outChannels, output);
  const inputElements = input.batch * spec.inChannels * input.height * input.width;
  const outputElements = elementCount(outputShape);

  const native = spec.dtype === 'float16' && capabilities.shaderF16;
  let storage: Storage = spec.dtype === 'float32' ? 'float32' : native ? 'float16' : 'expanded';
  let whole: Whole = { spec, input, output, rows, columns, elementBytes: storage === 'float16' ? 2 : 4 };
  let cuts = cutToFit(whole, limits);
  if (storage === 'float16' && cuts.some((cut) => cut.inChannels.count < spec.inChannels / spec.groups)) {
    // Partial sums pass through the output: in float16 they would be rounded on the way.
    storage = 'expanded';
    whole = { ...whole, elementBytes: 4 };
    cuts = cutToFit(whole, limits);
  }

  const element = bytesPerElement(spec.dtype);
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

  const phases = phasesOf(rows, columns);
  const parts = cuts.map((cut) => plannedPart(whole, cut, capabilities));
  const texels = Math.max(0, ...parts.map(({ choice }) => choice.texels ?? 0));
  const scratch = (storage === 'expanded' ? 4 * (inputElements + outputElements) : 0) + textureBytes(texels);
  const { choice } = parts[0] ?? plannedPart(whole, wholeCut(whole), capabilities);
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
    usefulFlops: parts.reduce((sum, { problem }) => sum + usefulFlops(problem), 0),
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

/** A plan lists its phases; this many already take a second and hundreds of megabytes. */
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

const usefulFlops = ({ batch, groups, inChannels, outChannels, rows, columns }: Problem): number =>
  2 * batch * groups * inChannels * outChannels * usefulTaps(rows) * usefulTaps(columns);

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

function plannedPart(whole: Whole, cut: Cut, capabilities: Capabilities): Part {
  const ranges = rangesOf(whole, cut, capabilities.limits);
  const problem = problemOf(whole, cut, ranges);
  const choice = chooseKernel(problem, capabilities);
  const most = capabilities.limits.maxComputeWorkgroupsPerDimension;
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
    ...ranges,
    choice,
    workgroups,
    quick: quick && quick.workgroups[1] <= most ? quick : undefined,
  };
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
