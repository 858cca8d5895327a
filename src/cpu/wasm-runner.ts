/** Runs the jobs of a plan on the WebAssembly module, synchronously, in whatever thread it is called. */
import { relaxedSimd, simd, type WasmBinary } from './wasm-binary.ts';
import { packedSize, type WasmPlan } from './wasm-plan.ts';
import type { Activation } from '../types.ts';

/** Byte addresses in the module's memory. */
export interface WasmAddresses {
  readonly input: number;
  /** Of what `packWeights` wrote. */
  readonly weights: number;
  readonly output: number;
  /** `plan.work.size` bytes of a thread's own. */
  readonly work: number;
}

/** A layer's weights as a user has them: element strides, and the bias. */
export interface WasmWeights {
  readonly groups: number;
  /** Of one group. */
  readonly inputChannels: number;
  /** Of one group. */
  readonly outputChannels: number;
  readonly kernel: readonly [height: number, width: number];
  readonly data: ArrayLike<number>;
  /** Of (all input channels, output channels of one group, height, width), in elements. */
  readonly strides: readonly [input: number, output: number, row: number, column: number];
  readonly bias?: ArrayLike<number> | undefined;
}

interface Exports {
  fillStrip(
    strip: number,
    planeStride: number,
    rows: number,
    columns: number,
    source: number,
    channels: number,
    channelStride: number,
    rowStride: number,
    columnStride: number,
    top: number,
    bottom: number,
    left: number,
    right: number,
  ): void;
  multiplyPositions: PanelKernel;
  multiplyPoint: PanelKernel;
  multiply1Row: RowKernel;
  multiply2Rows: RowKernel;
  multiply3Rows: RowKernel;
  multiply4Rows: RowKernel;
  gatherRow(
    target: number,
    step: number,
    bias: number,
    weights: number,
    stride: number,
    channels: number,
    taps: number,
    tapCount: number,
  ): void;
  interleave(
    results: number,
    phases: number,
    stride: number,
    resultChannelStride: number,
    resultRowStride: number,
    output: number,
    channelStride: number,
    rowStride: number,
    columnStride: number,
    channels: number,
    rows: number,
    columns: number,
  ): void;
  activate(values: number, count: number, kind: number, negativeSlope: number): void;
}

type PanelKernel = (
  strip: number,
  rowStride: number,
  planeStride: number,
  channels: number,
  weights: number,
  bias: number,
  taps: number,
  tapCount: number,
  rows: number,
  columns: number,
  results: number,
  channelStride: number,
) => void;

type RowKernel = (
  strip: number,
  planeStride: number,
  channels: number,
  weights: number,
  taps: number,
  tapCount: number,
  positions: number,
  results: number,
  resultStride: number,
) => void;

/** The numbers of assembly/activation.ts. */
const ACTIVATIONS: Record<Activation, number> = {
  none: 0,
  relu: 1,
  relu6: 2,
  'leaky-relu': 3,
  sigmoid: 4,
  tanh: 5,
  gelu: 6,
  silu: 7,
};

export type WasmVariant = 'simd' | 'relaxed-simd';

const bytes = ({ base64 }: WasmBinary): Uint8Array<ArrayBuffer> =>
  Uint8Array.from(atob(base64), (character) => character.charCodeAt(0));

/** The best module that this engine takes; undefined without SIMD. */
export function wasmVariant(): WasmVariant | undefined {
  if (typeof WebAssembly === 'undefined') return undefined;
  if (WebAssembly.validate(bytes(relaxedSimd))) return 'relaxed-simd';
  return WebAssembly.validate(bytes(simd)) ? 'simd' : undefined;
}

const modules = new Map<string, WebAssembly.Module>();

/** The module, for a memory that is shared or not: nothing but a flag of its import differs. */
function compiled(variant: WasmVariant, shared: boolean): WebAssembly.Module {
  const key = `${variant} ${shared}`;
  let module = modules.get(key);
  if (module === undefined) {
    const binary = variant === 'simd' ? simd : relaxedSimd;
    const code = bytes(binary);
    if (shared) code[binary.memoryFlags] = 3;
    module = new WebAssembly.Module(code);
    modules.set(key, module);
  }
  return module;
}

/** An element that exists. */
function at<T>(values: readonly T[], index: number): T {
  const value = values[index];
  if (value === undefined) throw new RangeError(`no element ${index} of ${values.length}`);
  return value;
}

const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);

/** The module over one memory. It keeps no state between calls, so that each thread may have its own over the same memory. */
export class WasmRunner {
  readonly memory: WebAssembly.Memory;
  readonly #code: Exports;
  readonly #rowKernels: readonly RowKernel[];

  /** @param memory with a maximum; shared, if threads are to share it */
  constructor(memory: WebAssembly.Memory, variant: WasmVariant) {
    this.memory = memory;
    const shared = typeof SharedArrayBuffer !== 'undefined' && memory.buffer instanceof SharedArrayBuffer;
    this.#code = new WebAssembly.Instance(compiled(variant, shared), { env: { memory } }).exports as unknown as Exports;
    const { multiply1Row, multiply2Rows, multiply3Rows, multiply4Rows } = this.#code;
    this.#rowKernels = [multiply1Row, multiply2Rows, multiply3Rows, multiply4Rows];
  }

  /** Runs jobs `first` to `end` − 1 of a plan. */
  run(plan: WasmPlan, addresses: WasmAddresses, first = 0, end: number = plan.jobs): void {
    if (first >= end) return;
    const { problem, outer, inner, parts } = plan;
    new Int32Array(this.memory.buffer, addresses.work, plan.tables.length).set(plan.tables);
    let filled = -1;
    let gathered = -1;
    for (let job = first; job < end; job++) {
      const part = job % parts;
      const tile = Math.floor(job / parts);
      const innerTile = tile % inner.tiles;
      const outerTile = Math.floor(tile / inner.tiles) % outer.tiles;
      const image = Math.floor(tile / (inner.tiles * outer.tiles));
      const group = image % problem.groups;
      const origin: Tile = {
        batch: Math.floor(image / problem.groups),
        group,
        m: outerTile * outer.tile,
        n: innerTile * inner.tile,
      };
      if (tile !== filled) this.#fill(plan, addresses, origin);
      filled = tile;
      if (plan.kernel === 'rows') {
        if (group !== gathered) this.#gather(plan, addresses, group);
        gathered = group;
        this.#multiplyRows(plan, addresses, origin);
      } else {
        const firstPanel = Math.floor((plan.panels * part) / parts);
        const endPanel = Math.floor((plan.panels * (part + 1)) / parts);
        for (let panel = firstPanel; panel < endPanel; panel++) this.#multiplyPanel(plan, addresses, origin, panel);
      }
    }
  }

  #fill(plan: WasmPlan, addresses: WasmAddresses, { batch, group, m, n }: Tile): void {
    const { outer, inner, inputStrides, problem } = plan;
    const top = clamp(-(m + outer.low), 0, plan.strip.rows);
    const bottom = clamp(outer.input - (m + outer.low), top, plan.strip.rows);
    const left = clamp(-(n + inner.low), 0, plan.strip.columns);
    const right = clamp(inner.input - (n + inner.low), left, plan.strip.columns);
    const source =
      batch * inputStrides.image +
      group * problem.inputChannels * inputStrides.channel +
      (m + outer.low + top) * inputStrides.outer +
      (n + inner.low + left) * inputStrides.inner;
    this.#code.fillStrip(
      addresses.work + plan.work.strip,
      plan.strip.planeStride,
      plan.strip.rows,
      plan.strip.columns,
      addresses.input + source * 4,
      problem.inputChannels,
      inputStrides.channel * 4,
      inputStrides.outer * 4,
      inputStrides.inner * 4,
      top,
      bottom,
      left,
      right,
    );
  }

  #multiplyPanel(plan: WasmPlan, addresses: WasmAddresses, tile: Tile, panel: number): void {
    const { problem, outer, inner, work } = plan;
    const multiply = plan.kernel === 'point' ? this.#code.multiplyPoint : this.#code.multiplyPositions;
    const index = tile.group * plan.panels + panel;
    const bias = addresses.weights + index * 32;
    const weights =
      addresses.weights +
      plan.biasBytes +
      index * problem.rows.kernel * problem.columns.kernel * problem.inputChannels * 32;
    const results = addresses.work + work.results;
    for (let r = 0; r < outer.stride; r++) {
      const rows = clamp(at(outer.positions, r) - tile.m, 0, outer.tile);
      if (rows === 0) continue;
      for (let s = 0; s < inner.stride; s++) {
        const { count, table } = at(plan.taps, r * inner.stride + s);
        multiply(
          addresses.work + work.strip,
          plan.strip.columns * 4,
          plan.strip.planeStride,
          problem.inputChannels,
          weights,
          bias,
          addresses.work + table * 4,
          count,
          rows,
          clamp(at(inner.positions, s) - tile.n, 0, inner.tile),
          results + s * plan.results.phaseStride,
          plan.results.channelStride,
        );
      }
      this.#activate(plan, addresses);
      const firstChannel = panel * 8;
      this.#store(
        plan,
        addresses,
        tile,
        r,
        rows,
        plan.phaseTable,
        firstChannel,
        Math.min(8, problem.outputChannels - firstChannel),
      );
    }
  }

  /** Each family's bias and weights, gathered block by block as the row kernels read them. */
  #gather(plan: WasmPlan, addresses: WasmAddresses, group: number): void {
    const { problem, panel, taps } = plan;
    const bias = addresses.weights + group * 32;
    const kernelSize = problem.rows.kernel * problem.columns.kernel;
    const weights = addresses.weights + plan.biasBytes + group * kernelSize * problem.inputChannels * panel * 4;
    for (const { phases, blocks } of plan.families) {
      for (const block of blocks) {
        for (let row = 0; row < block.rows; row++) {
          const channel = (block.first + row) % panel;
          const { count, table } = at(taps, at(phases, Math.floor((block.first + row) / panel)));
          this.#code.gatherRow(
            addresses.work + block.weights + row * 4,
            block.rows * 4,
            bias + channel * 4,
            weights + channel * 4,
            panel * 4,
            problem.inputChannels,
            addresses.work + table * 4,
            count,
          );
        }
      }
    }
  }

  #multiplyRows(plan: WasmPlan, addresses: WasmAddresses, tile: Tile): void {
    const { problem, outer, panel, work, taps } = plan;
    for (const { phases, blocks, results, positions } of plan.families) {
      const { count, table } = at(taps, at(phases, 0));
      for (const block of blocks) {
        at(this.#rowKernels, block.rows - 1)(
          addresses.work + work.strip,
          plan.strip.planeStride,
          problem.inputChannels,
          addresses.work + block.weights,
          addresses.work + table * 4,
          count,
          positions,
          addresses.work + work.results + results + block.first * plan.results.channelStride,
          plan.results.channelStride,
        );
      }
    }
    this.#activate(plan, addresses);
    for (let r = 0; r < outer.stride; r++) {
      const rows = clamp(at(outer.positions, r) - tile.m, 0, outer.tile);
      this.#store(plan, addresses, tile, r, rows, plan.phaseTable + r * plan.inner.stride, 0, panel);
    }
  }

  #activate({ problem, work, results }: WasmPlan, addresses: WasmAddresses): void {
    const kind = ACTIVATIONS[problem.activation];
    if (kind === 0) return;
    this.#code.activate(addresses.work + work.results, results.bytes / 4, kind, problem.negativeSlope);
  }

  #store(
    plan: WasmPlan,
    addresses: WasmAddresses,
    { batch, group, m, n }: Tile,
    residue: number,
    rows: number,
    table: number,
    firstChannel: number,
    channels: number,
  ): void {
    const { problem, outer, inner, outputStrides } = plan;
    const target =
      batch * outputStrides.image +
      (group * problem.outputChannels + firstChannel) * outputStrides.channel +
      (m * outer.stride + residue) * outputStrides.outer +
      n * inner.stride * outputStrides.inner;
    this.#code.interleave(
      addresses.work + plan.work.results,
      addresses.work + table * 4,
      inner.stride,
      plan.results.channelStride,
      plan.results.rowStride,
      addresses.output + target * 4,
      outputStrides.channel * 4,
      outer.stride * outputStrides.outer * 4,
      outputStrides.inner * 4,
      channels,
      rows,
      Math.min(inner.output - n * inner.stride, inner.tile * inner.stride),
    );
  }
}

/** A tile of an image and group, by its first position on each axis. */
interface Tile {
  readonly batch: number;
  readonly group: number;
  readonly m: number;
  readonly n: number;
}

/**
 * Weights as the module reads them: the bias, 8 numbers a panel, then [group][panel][kernel row][kernel column][input channel][8
 * output channels], or as many as a group has when they are fewer. It depends neither on stride nor on dilation nor on sizes.
 */
export function packWeights(weights: WasmWeights): Float32Array<ArrayBuffer> {
  const { groups, inputChannels, outputChannels, data, bias } = weights;
  const [height, width] = weights.kernel;
  const [inputStride, outputStride, rowStride, columnStride] = weights.strides;
  const { panel, panels, biasBytes, weightBytes } = packedSize(groups, inputChannels, outputChannels, height * width);
  const packed = new Float32Array((biasBytes + weightBytes) / 4);
  let at = biasBytes / 4;
  for (let group = 0; group < groups; group++) {
    for (let p = 0; p < panels; p++) {
      const first = p * panel;
      const channels = Math.min(panel, outputChannels - first);
      for (let o = 0; bias !== undefined && o < channels; o++) {
        packed[(group * panels + p) * 8 + o] = bias[group * outputChannels + first + o] ?? 0;
      }
      for (let row = 0; row < height; row++) {
        for (let column = 0; column < width; column++) {
          for (let i = 0; i < inputChannels; i++, at += panel) {
            const from =
              (group * inputChannels + i) * inputStride +
              first * outputStride +
              row * rowStride +
              column * columnStride;
            for (let o = 0; o < channels; o++) packed[at + o] = data[from + o * outputStride] ?? 0;
          }
        }
      }
    }
  }
  return packed;
}
