/** A plan as GPU work, still plain data: dispatches, what each binds by name, and the bytes of their tables. */
import type { KernelChoice, KernelName } from '../kernels.ts';
import { ACTIVATIONS } from '../types.ts';
import type { Spec } from '../options.ts';
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

/** The part of a resource that is bound. A texture is always bound as a whole. */
export type Binding = { readonly name: ResourceName } & Range;

export interface Step extends Run {
  /** In the shader's order. */
  readonly bindings: readonly Binding[];
  /** Another way to the same result that compiles faster; 'page': JavaScript writes the input's texels, and nothing is compiled. */
  readonly quick?: Run | 'page' | undefined;
}

/** With more texels than this, a pass writes them faster than JavaScript, even if it must be compiled first. */
const FEW_TEXELS = 2 ** 18;

/** The problem whose input texels JavaScript may write in a first call: only a single small one of float32. */
export function writtenByPage({ storage, parts, texels }: LayerPlan): Problem | undefined {
  const [part, ...more] = parts;
  const few = texels > 0 && texels <= FEW_TEXELS;
  return part?.quick !== undefined && more.length === 0 && storage === 'float32' && few ? part.problem : undefined;
}

export interface Run {
  readonly request: PipelineRequest;
  readonly workgroups: readonly [number, number, number];
}

/** The resources that a step binds, in order; `offsets` are those of the caller's tensors, in bytes. */
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
  /** Scratch memory: what one step writes and a later one reads, in bytes. */
  readonly scratch: ReadonlyMap<ResourceName, number>;
}

type Kernel = Pick<KernelChoice, 'kernel' | 'constants'>;

/** Lays a plan out; `alignment` is the device's for uniform and storage offsets. */
export function layOut(spec: Spec, plan: LayerPlan, alignment: number): Steps {
  const tables: { readonly words: Uint32Array; readonly offset: number }[] = [];
  let bytes = 0;
  /** Tables lie one after the other, each at an aligned offset. */
  const table = (words: Uint32Array): Binding => {
    const [offset, size] = [bytes, words.byteLength];
    tables.push({ words, offset });
    bytes = roundUp(offset + size, alignment);
    return { name: 'tables', offset, size };
  };
  const expanded = plan.storage === 'expanded';
  const float16 = plan.storage === 'float16';

  const describe = (problem: Problem): readonly [Binding, Binding] => [
    table(paramWords(problem, spec.negativeSlope)),
    table(residueWords(problem)),
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
    const run = ({ kernel, constants }: Kernel, workgroups: Run['workgroups']): Run => ({
      // Never one of the CPU's kernels: this runs for plans on a GPU only.
      request: { shader: kernel as KernelName, constants: { ...constants, ...store }, float16 },
      workgroups,
    });
    const kernel = (input: Binding, weight: 'weight' | 'weightTexels'): Step => ({
      ...run(choice, workgroups),
      quick: quick && run(quick, quick.workgroups),
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
        table(Uint32Array.of(piece.size, 0, 0, 0)),
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
  const together = new Uint32Array(bytes / 4);
  for (const { words, offset } of tables) together.set(words, offset / 4);
  return { steps, tables: together.buffer, scratch };
}
