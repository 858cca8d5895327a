/** A plan as GPU work, still plain data: dispatches, what each binds by name, and the bytes of their tables. */
import type { CpuKernelName, KernelChoice, KernelName } from '../kernels.ts';
import { ACTIVATIONS, type Spec } from '../options.ts';
import type { Range } from '../cuts.ts';
import { roundUp } from '../geometry.ts';
import { packedElements } from '../packing.ts';
import type { LayerPlan, Part } from '../plan.ts';
import type { Problem } from '../problem.ts';
import { textureBytes } from '../texels.ts';
import { CONVERT_WORKGROUP } from '../workgroups.ts';
import { paramWords, residueWords } from './params.ts';
import type { PipelineRequest } from './pipelines.ts';
import type { Made } from './scopes.ts';

/** The buffers and textures that a step names. */
export type ResourceName =
  | 'input'
  | 'output'
  | 'weight'
  | 'bias'
  | 'tables'
  | 'expandedInput'
  | 'expandedOutput'
  | 'inputTexels'
  | 'weightTexels';

/** What of a resource is bound; a texture is bound as a whole. */
export type Binding = { readonly name: ResourceName } & Range;

export interface Step extends Run {
  /** In the shader's order. */
  readonly bindings: readonly Binding[];
  /** What does the same, compiled sooner; or nothing to be compiled, where the page writes the input's texels. */
  readonly quick?: Run | 'page' | undefined;
}

/** More texels than these are written sooner by a pass, its compiling included. */
const FEW_TEXELS = 2 ** 18;

/** The problem whose input's texels the page may write in a first call: the only one, of float32. */
export function writtenByPage({ storage, parts, texels }: LayerPlan): Problem | undefined {
  const [part, ...more] = parts;
  const few = texels > 0 && texels <= FEW_TEXELS;
  return part?.quick !== undefined && more.length === 0 && storage === 'float32' && few ? part.problem : undefined;
}

export interface Run {
  readonly request: PipelineRequest;
  readonly workgroups: readonly [number, number, number];
}

/** What a step binds of these; `offsets` are where the caller's tensors begin. */
export function resourcesOf(
  { bindings }: Step,
  named: ReadonlyMap<ResourceName, Made>,
  offsets: Readonly<Partial<Record<ResourceName, number>>> = {},
): GPUBindingResource[] {
  return bindings.map(({ name, offset, size }) => {
    const made = named.get(name)!;
    return 'size' in made ? { buffer: made, offset: (offsets[name] ?? 0) + offset, size } : made.createView();
  });
}

export interface Steps {
  readonly steps: readonly Step[];
  /** Params and residue tables of every step: one buffer. */
  readonly tables: ArrayBuffer;
  /** Bytes of what lives between the steps of a call. */
  readonly scratch: ReadonlyMap<ResourceName, number>;
}

/** Lays a plan out; `alignment` is the device's for uniform and storage offsets. */
export function layOut(spec: Spec, plan: LayerPlan, alignment: number): Steps {
  const tables = new Tables(alignment);
  const expanded = plan.storage === 'expanded';
  const float16 = plan.storage === 'float16';

  const describe = (problem: Problem): readonly [Binding, Binding] => [
    tables.add(paramWords(problem, spec.negativeSlope)),
    tables.add(residueWords(problem)),
  ];
  const compute = (part: Part): Step[] => {
    const { problem, choice, workgroups, quick } = part;
    const tabled = describe(problem);
    const input = { name: expanded ? 'expandedInput' : 'input', ...part.input } as const;
    const store = {
      BEGINS: Number(problem.begins),
      FINISHES: Number(problem.finishes),
      ACTIVATION: ACTIVATIONS.indexOf(spec.activation),
    };
    const request = ({ kernel, constants }: Pick<KernelChoice, 'kernel' | 'constants'>): PipelineRequest => ({
      shader: gpuKernel(kernel),
      constants: { ...constants, ...store },
      float16,
    });
    const kernel = (input: Binding, weight: 'weight' | 'weightTexels'): Step => ({
      request: request(choice),
      workgroups,
      quick: quick && { request: request(quick), workgroups: quick.workgroups },
      bindings: [
        ...tabled,
        input,
        { name: weight, offset: 0, size: 4 * packedElements(spec) },
        { name: 'bias', offset: 0, size: 4 * roundUp(spec.outChannels, 4) },
        { name: expanded ? 'expandedOutput' : 'output', ...part.output },
      ],
    });
    if (choice.texels === undefined) return [kernel(input, 'weight')];
    const inputTexels = { name: 'inputTexels', offset: 0, size: textureBytes(choice.texels) } as const;
    const write: Step = {
      request: { shader: 'input-texels', constants: { WORKGROUP_SIZE: CONVERT_WORKGROUP }, float16 },
      workgroups: plan.workgroupsFor(choice.texels),
      bindings: [tabled[0], input, inputTexels],
      quick: writtenByPage(plan) && 'page',
    };
    return [write, kernel(inputTexels, 'weightTexels')];
  };
  const convert =
    (shader: 'expand-float16' | 'compress-float16', halves: ResourceName, values: ResourceName) =>
    (piece: Range): Step => ({
      request: { shader, constants: { WORKGROUP_SIZE: CONVERT_WORKGROUP }, float16: false },
      workgroups: plan.workgroupsFor(Math.ceil(piece.size / 2)),
      bindings: [
        tables.add(Uint32Array.of(piece.size, 0, 0, 0)),
        { name: halves, offset: 2 * piece.offset, size: roundUp(2 * piece.size, 4) },
        { name: values, offset: 4 * piece.offset, size: 4 * piece.size },
      ],
    });
  const steps = [
    ...plan.expand.map(convert('expand-float16', 'input', 'expandedInput')),
    ...plan.parts.flatMap(compute),
    ...plan.compress.map(convert('compress-float16', 'output', 'expandedOutput')),
  ];
  const scratch = new Map<ResourceName, number>();
  if (expanded) {
    scratch.set('expandedInput', 4 * plan.inputElements);
    scratch.set('expandedOutput', 4 * plan.outputElements);
  }
  if (plan.texels > 0) scratch.set('inputTexels', textureBytes(plan.texels));
  return { steps, tables: tables.bytes(), scratch };
}

function gpuKernel(kernel: KernelName | CpuKernelName): KernelName {
  if (kernel === 'plain' || kernel === 'wasm-simd' || kernel === 'wasm-relaxed-simd') {
    throw new Error('a plan for the CPU was given to a GPU');
  }
  return kernel;
}

/** Tables one after the other, each at an aligned offset. */
class Tables {
  readonly #alignment: number;
  readonly #pieces: { readonly offset: number; readonly words: Uint32Array }[] = [];
  #size = 0;

  constructor(alignment: number) {
    this.#alignment = alignment;
  }

  add(words: Uint32Array): { name: 'tables' } & Range {
    const offset = this.#size;
    this.#pieces.push({ offset, words });
    this.#size = roundUp(offset + words.byteLength, this.#alignment);
    return { name: 'tables', offset, size: words.byteLength };
  }

  bytes(): ArrayBuffer {
    const all = new Uint32Array(this.#size / 4);
    for (const { offset, words } of this.#pieces) all.set(words, offset / 4);
    return all.buffer;
  }
}
