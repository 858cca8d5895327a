/** A plan as GPU work, still plain data: dispatches, what each binds by name, and the bytes of their tables. */
import type { CpuKernelName, KernelName } from '../kernels.ts';
import { ACTIVATIONS, type Spec } from '../options.ts';
import { CONVERT_WORKGROUP, roundUp, type LayerPlan, type Part, type Range } from '../plan.ts';
import { PARAMS_SIZE, residuesSize, writeParams, writeResidues } from './params.ts';
import type { PipelineRequest } from './pipelines.ts';

/** The buffers that a step names. */
export type BufferName = 'input' | 'output' | 'weight' | 'bias' | 'tables' | 'expandedInput' | 'expandedOutput';

export interface Step {
  readonly request: PipelineRequest;
  readonly workgroups: readonly [number, number, number];
  /** In the shader's order. */
  readonly bindings: readonly ({ readonly name: BufferName } & Range)[];
}

export interface Steps {
  readonly steps: readonly Step[];
  /** Params and residue tables of every step: one buffer. */
  readonly tables: ArrayBuffer;
  /** Bytes of the buffers that live between the steps of a call. */
  readonly scratch: ReadonlyMap<BufferName, number>;
}

/** Lays a plan out; `alignment` is the device's for uniform and storage offsets. */
export function layOut(spec: Spec, plan: LayerPlan, alignment: number): Steps {
  const tables = new Tables(alignment);
  const expanded = plan.storage === 'expanded';
  const activation = { ACTIVATION: ACTIVATIONS.indexOf(spec.activation) };

  const compute = ({ problem, choice, workgroups, input, weight, output }: Part): Step => ({
    request: {
      shader: gpuKernel(choice.kernel),
      constants: { ...choice.constants, ...activation },
      float16: plan.storage === 'float16',
    },
    workgroups,
    bindings: [
      tables.add(PARAMS_SIZE, (view) => {
        writeParams(view, problem, spec.negativeSlope);
      }),
      tables.add(residuesSize(problem), (view) => {
        writeResidues(view, problem);
      }),
      { name: expanded ? 'expandedInput' : 'input', ...input },
      { name: 'weight', ...weight },
      { name: 'bias', offset: 0, size: 4 * roundUp(spec.outChannels, 4) },
      { name: expanded ? 'expandedOutput' : 'output', ...output },
    ],
  });
  const convert =
    (shader: 'expand-float16' | 'compress-float16', halves: BufferName, values: BufferName) =>
    (piece: Range): Step => ({
      request: { shader, constants: { WORKGROUP_SIZE: CONVERT_WORKGROUP }, float16: false },
      workgroups: plan.convertDispatch(piece.size),
      bindings: [
        tables.add(16, (view) => {
          view.setUint32(0, piece.size, true);
        }),
        { name: halves, offset: 2 * piece.offset, size: roundUp(2 * piece.size, 4) },
        { name: values, offset: 4 * piece.offset, size: 4 * piece.size },
      ],
    });
  const steps = [
    ...plan.expand.map(convert('expand-float16', 'input', 'expandedInput')),
    ...plan.parts.map(compute),
    ...plan.compress.map(convert('compress-float16', 'output', 'expandedOutput')),
  ];
  const scratch = new Map<BufferName, number>(
    expanded
      ? [
          ['expandedInput', 4 * plan.inputElements],
          ['expandedOutput', 4 * plan.outputElements],
        ]
      : [],
  );
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
  readonly #pieces: { readonly offset: number; readonly bytes: ArrayBuffer }[] = [];
  #size = 0;

  constructor(alignment: number) {
    this.#alignment = alignment;
  }

  add(size: number, write: (view: DataView) => void): { name: 'tables' } & Range {
    const piece = { offset: this.#size, bytes: new ArrayBuffer(size) };
    write(new DataView(piece.bytes));
    this.#pieces.push(piece);
    this.#size = roundUp(this.#size + size, this.#alignment);
    return { name: 'tables', offset: piece.offset, size };
  }

  bytes(): ArrayBuffer {
    const all = new Uint8Array(this.#size);
    for (const { offset, bytes } of this.#pieces) all.set(new Uint8Array(bytes), offset);
    return all.buffer;
  }
}
