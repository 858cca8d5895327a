/** Runs the jobs of a plan on the WebAssembly module, synchronously, in whatever thread it is called. */
import type { Activation } from '../types.ts';
import type { RowKernel, WasmExports } from './wasm-exports.ts';
import type { PlanAxis, WasmPlan } from './wasm-plan.ts';

/** Byte addresses in the module's memory. */
export interface WasmAddresses {
  readonly input: number;
  /** Of what `packForWasm` made. */
  readonly weights: number;
  readonly output: number;
  /** `plan.work.size` bytes of a thread's own. */
  readonly work: number;
}

/** Runs jobs `first` to `end` − 1, on the calling thread. */
export type WasmJobs = (first: number, end: number) => void;

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

const clamp = (value: number, low: number, high: number): number => Math.min(Math.max(value, low), high);

/** The module over one memory. It keeps no state between calls, so that each thread may have its own over the same memory. */
export class WasmRunner {
  readonly memory: WebAssembly.Memory;
  readonly code: WasmExports;
  readonly #rowKernels: readonly RowKernel[];

  /** @param memory shared, if the module is for that */
  constructor(memory: WebAssembly.Memory, module: WebAssembly.Module) {
    this.memory = memory;
    this.code = new WebAssembly.Instance(module, { env: { memory } }).exports as unknown as WasmExports;
    const { multiply1Row, multiply2Rows, multiply3Rows, multiply4Rows } = this.code;
    this.#rowKernels = [multiply1Row, multiply2Rows, multiply3Rows, multiply4Rows];
  }

  /**
   * Starts on a plan, whose jobs the function that is returned then runs, as often as it is called. It keeps what one job leaves
   * to the next in the work memory: neighbouring jobs are best run by the same thread.
   */
  start(plan: WasmPlan, addresses: WasmAddresses): WasmJobs {
    const { problem, outer, inner, parts } = plan;
    new Int32Array(this.memory.buffer, addresses.work, plan.tables.length).set(plan.tables);
    let filled = -1;
    let gathered = -1;
    let taps: readonly number[] = [];
    return (first, end) => {
      for (let job = first; job < end; job++) {
        const part = job % parts;
        const index = Math.floor(job / parts);
        const image = Math.floor(index / (inner.tiles * outer.tiles));
        const group = (image % plan.groupSets) * plan.groupsTogether;
        const tile = {
          batch: Math.floor(image / plan.groupSets),
          group,
          groups: Math.min(plan.groupsTogether, problem.groups - group),
          outer: (Math.floor(index / inner.tiles) % outer.tiles) * outer.tile,
          inner: (index % inner.tiles) * inner.tile,
        };
        if (index !== filled) {
          this.#fill(plan, addresses, tile);
          taps = this.#reach(plan, addresses, tile);
        }
        filled = index;
        if (plan.kernel === 'rows') {
          // In the order of the taps, which are each tile's own where some miss it.
          if (group !== gathered || plan.reaches.length > 0) this.#gather(plan, addresses, tile, taps);
          gathered = group;
          this.#multiplyRows(plan, addresses, tile, taps);
        } else {
          const firstPanel = Math.floor((plan.panels * part) / parts);
          const endPanel = Math.floor((plan.panels * (part + 1)) / parts);
          for (let panel = firstPanel; panel < endPanel; panel++)
            this.#multiplyPanel(plan, addresses, tile, panel, taps);
        }
      }
    };
  }

  #fill(plan: WasmPlan, addresses: WasmAddresses, tile: Tile): void {
    const { outer, inner, problem, inputSteps, strip } = plan;
    const { input } = problem;
    for (let band = 0; band < strip.bands; band++) {
      const firstRow = tile.outer + outer.low + band * strip.bandStep;
      const top = clamp(-firstRow, 0, strip.bandRows);
      const bottom = clamp(outer.input - firstRow, top, strip.bandRows);
      for (const { offset, at, columns } of strip.columnBands) {
        const firstColumn = tile.inner + inner.low + offset;
        const left = clamp(-firstColumn, 0, columns);
        const right = clamp(inner.input - firstColumn, left, columns);
        const source =
          tile.batch * input.batch +
          tile.group * input.group +
          (firstRow + top) * inputSteps[0] +
          (firstColumn + left) * inputSteps[1];
        this.code.fillStrip(
          addresses.work + plan.work.strip + (band * strip.bandRows * strip.columns + at) * 4,
          strip.planeStride,
          strip.columns * 4,
          strip.bandRows,
          columns,
          addresses.input + source * 4,
          tile.groups * problem.inChannels,
          input.channel * 4,
          inputSteps[0] * 4,
          inputSteps[1] * 4,
          top,
          bottom,
          left,
          right,
        );
      }
    }
  }

  /** Puts the taps that reach inputs of a tile to the front of each phase's; says how many. Others read zeros alone. */
  #reach(plan: WasmPlan, addresses: WasmAddresses, tile: Tile): number[] {
    const { outer, inner, tables, reaches, spread } = plan;
    if (reaches.length === 0) return plan.taps.map(({ count }) => count);
    const words = new Int32Array(this.memory.buffer, addresses.work, tables.length);
    return plan.taps.map(({ count, table }) => {
      let kept = table;
      for (let tap = table; tap < table + 2 * count; tap += 2) {
        const row = tile.outer + reaches[tap]!;
        const column = tile.inner + reaches[tap + 1]!;
        const end = column + inner.tile + spread;
        if (row + outer.tile <= 0 || row >= outer.input || end <= 0 || column >= inner.input) continue;
        words[kept++] = tables[tap]!;
        words[kept++] = tables[tap + 1]!;
      }
      return (kept - table) / 2;
    });
  }

  /** @param taps of each phase */
  #multiplyPanel(plan: WasmPlan, addresses: WasmAddresses, tile: Tile, panel: number, taps: readonly number[]): void {
    const { problem, outer, inner, work } = plan;
    const multiply = plan.kernel === 'point' ? this.code.multiplyPoint : this.code.multiplyPositions;
    const index = tile.group * plan.panels + panel;
    const bias = addresses.weights + index * 32;
    const weights =
      addresses.weights +
      plan.biasBytes +
      index * problem.rows.kernel * problem.columns.kernel * problem.inChannels * 32;
    const results = addresses.work + work.results;
    for (let r = 0; r < outer.stride; r++) {
      const rows = positionsIn(outer, r, tile.outer);
      if (rows.count === 0) continue;
      for (let s = 0; s < inner.stride; s++) {
        const phase = r * inner.stride + s;
        multiply(
          addresses.work + work.strip + rows.offset * plan.strip.columns * 4,
          plan.strip.columns * 4,
          plan.strip.planeStride,
          problem.inChannels,
          weights,
          bias,
          addresses.work + plan.taps[phase]!.table * 4,
          taps[phase]!,
          rows.count,
          positionsIn(inner, s, tile.inner).count,
          results + s * plan.results.phaseStride,
          plan.results.channelStride,
        );
      }
      this.#activate(plan, addresses);
      const channels = Math.min(8, problem.outChannels - panel * 8);
      this.#store(plan, addresses, tile, r, rows, results, panel * 8, channels);
    }
  }

  /** Each family's bias and weights, gathered block by block as the row kernels read them, group by group. */
  #gather(plan: WasmPlan, addresses: WasmAddresses, tile: Tile, taps: readonly number[]): void {
    const { problem, panel } = plan;
    const kernelSize = problem.rows.kernel * problem.columns.kernel;
    for (let g = 0; g < tile.groups; g++) {
      const group = tile.group + g;
      const target = addresses.work + g * plan.work.groupWeights;
      const bias = addresses.weights + group * panel * 4;
      const weights = addresses.weights + plan.biasBytes + group * kernelSize * problem.inChannels * panel * 4;
      for (const { phases, blocks } of plan.families) {
        for (const block of blocks) {
          for (let row = 0; row < block.rows; row++) {
            const channel = (block.first + row) % panel;
            const phase = phases[Math.floor((block.first + row) / panel)]!;
            this.code.gatherRow(
              target + block.weights + row * 4,
              block.rows * 4,
              bias + channel * 4,
              weights + channel * 4,
              panel * 4,
              problem.inChannels,
              addresses.work + plan.taps[phase]!.table * 4,
              taps[phase]!,
            );
          }
        }
      }
    }
  }

  #multiplyRows(plan: WasmPlan, addresses: WasmAddresses, tile: Tile, taps: readonly number[]): void {
    const { outer, panel, work } = plan;
    for (let g = 0; g < tile.groups; g++) this.#multiplyGroup(plan, addresses, g, taps);
    this.#activate(plan, addresses);
    for (let r = 0; r < outer.stride; r++) {
      const rows = positionsIn(outer, r, tile.outer);
      const results = addresses.work + work.results + rows.offset * plan.results.rowStride;
      this.#store(plan, addresses, tile, r, rows, results, 0, tile.groups * panel);
    }
  }

  #multiplyGroup(plan: WasmPlan, addresses: WasmAddresses, group: number, taps: readonly number[]): void {
    const { problem, work, strip } = plan;
    const { channelStride, groupStride, rowStride } = plan.results;
    for (const { phases, blocks, results, positions } of plan.families) {
      const [phase] = phases as [number];
      for (const block of blocks) {
        for (let run = 0; run < plan.runs; run++) {
          this.#rowKernels[block.rows - 1]!(
            addresses.work + work.strip + group * problem.inChannels * strip.planeStride + run * strip.columns * 4,
            strip.planeStride,
            problem.inChannels,
            addresses.work + group * work.groupWeights + block.weights,
            addresses.work + plan.taps[phase]!.table * 4,
            taps[phase]!,
            positions,
            addresses.work +
              work.results +
              group * groupStride +
              results +
              block.first * channelStride +
              run * rowStride,
            channelStride,
          );
        }
      }
    }
  }

  #activate({ problem, work, results }: WasmPlan, addresses: WasmAddresses): void {
    const kind = ACTIVATIONS[problem.activation];
    if (kind === 0) return;
    this.code.activate(addresses.work + work.results, results.bytes / 4, kind, problem.negativeSlope);
  }

  /** Rows of the output from the results of an outer residue's phases. */
  #store(
    plan: WasmPlan,
    addresses: WasmAddresses,
    tile: Tile,
    residue: number,
    rows: Positions,
    results: number,
    firstChannel: number,
    channels: number,
  ): void {
    const { outer, inner, outputSteps, phaseTable, groupsTogether } = plan;
    const { output } = plan.problem;
    const target =
      tile.batch * output.batch +
      tile.group * output.group +
      firstChannel * output.channel +
      (rows.first * outer.stride + residue) * outputSteps[0] +
      tile.inner * inner.stride * outputSteps[1];
    this.code.interleave(
      results,
      addresses.work + (phaseTable + residue * inner.stride) * 4,
      inner.stride,
      // Groups together have a channel each.
      groupsTogether > 1 ? plan.results.groupStride : plan.results.channelStride,
      plan.results.rowStride,
      addresses.output + target * 4,
      output.channel * 4,
      outer.stride * outputSteps[0] * 4,
      outputSteps[1] * 4,
      channels,
      rows.count,
      Math.min(inner.output - tile.inner * inner.stride, inner.tile * inner.stride),
    );
  }
}

/** A tile of an image and its groups, by where it starts on each axis. */
interface Tile {
  readonly batch: number;
  /** The first, and how many. */
  readonly group: number;
  readonly groups: number;
  readonly outer: number;
  readonly inner: number;
}

/** A residue's positions in a tile: the first, how many, and how far into the tile. */
interface Positions {
  readonly first: number;
  readonly count: number;
  readonly offset: number;
}

function positionsIn(axis: PlanAxis, residue: number, start: number): Positions {
  const shift = axis.shifts[residue]!;
  const positions = axis.positions[residue]!;
  const first = clamp(start - shift, 0, positions);
  return { first, count: clamp(start + axis.tile - shift, first, positions) - first, offset: first + shift - start };
}
