/** Plays a sequence of acts on two layers of one device, and holds each call against a model of what it may come to. */
import {
  ConvTranspose2d,
  ConvTranspose2dError,
  ConvTranspose2dGradients,
  convTranspose2d,
  convTranspose2dBackward,
  download,
  upload,
  type BackwardOperands,
  type Call,
  type GpuTensor,
  type HostTensor,
  type StateDict,
} from '../../src/index.ts';
import { convTranspose2dBackwardReference, convTranspose2dReference } from '../../src/reference.ts';
import { inScopes } from './scopes.ts';
import type { Act, Kind, Sequence } from './sequence-acts.ts';
import { copied, inputOf, largerSize, otherState, stateOf, withBits, wrongOutput } from './sequence-model.ts';
import { float16Bits, integerTensor, lengthOf, valuesOf } from './tensors.ts';
import { gradientMismatch } from './tolerance.ts';

/** Parameters as they were loaded; 'refused' where those cannot be packed. */
type Parameters = StateDict | 'refused';
/** What is wrong with a result, by parameters that the call may have had. */
type Wrong = (state: StateDict) => string | undefined;

interface Player {
  readonly layer: ConvTranspose2d;
  readonly ins: number;
  readonly outs: number;
  /** All that it ever had. */
  readonly had: Parameters[];
  destroyed: boolean;
}

interface Recorded {
  /** Without parameters that could be packed, what is recorded computes no numbers. */
  readonly refused: boolean;
  readonly output: GpuTensor;
  readonly wrong: (output: HostTensor) => string | undefined;
}

const GUARD = 8;
/** Where a tensor begins that has others before and behind it in its buffer, in bytes. */
const OFFSET = 256;
/** How many tensors lie side by side in a buffer, and the room for each. */
const SLOTS = 6;
const SLOT = 2 ** 15;
/** What is around a tensor. */
const MARK = 0x40e04700;

export class Game {
  /** How often calls came to what. */
  readonly met = new Map<string, number>();
  readonly #device: GPUDevice | 'cpu';
  readonly #kind: Kind;
  readonly #sequence: Sequence;
  readonly #players: readonly [Player, Player];
  /** Codes that a backward call may have. */
  readonly #backwardCodes: readonly string[];
  readonly #pending: Promise<unknown>[] = [];
  readonly #failures: string[] = [];
  readonly #buffers: GPUBuffer[] = [];
  /** Buffers with marks around a tensor. */
  #marked: { readonly buffer: GPUBuffer; readonly bytes: number; readonly size: number }[] = [];
  #encoder: GPUCommandEncoder | undefined;
  #recorded: Recorded[] = [];
  #spoiled = false;
  #lost = false;
  /** Buffers of inputs and of outputs side by side, and how many lie there until the next submit. */
  #shared: GPUBuffer[] | undefined;
  #slots = [0, 0] as [number, number];
  readonly #gradients: ConvTranspose2dGradients | undefined;
  #gradientsDestroyed = false;

  constructor(device: GPUDevice | 'cpu', sequence: Sequence, backwardCodes: readonly string[]) {
    this.#device = device;
    this.#sequence = sequence;
    this.#kind = sequence.kind;
    this.#backwardCodes = backwardCodes;
    const { options, dtype, channels: [first, second] = [2, 3] } = this.#kind;
    const onMismatch = ({ message }: { message: string }): void => {
      this.#failures.push(message);
    };
    const player = (ins: number, outs: number): Player => {
      const layer = new ConvTranspose2d(ins, outs, [3, 2], { ...options, dtype, device, onMismatch });
      return { ...{ layer, ins, outs }, had: [], destroyed: false };
    };
    this.#players = [player(first, second), player(second, first)];
    if (device !== 'cpu' && dtype === 'float32') {
      this.#gradients = new ConvTranspose2dGradients(first, second, [3, 2], { ...options, device });
    }
    for (const one of this.#players) this.#load(one, 0, 'host');
  }

  /** @throws with what was not as the model has it */
  async play(): Promise<void> {
    for (const act of this.#sequence.acts) await this.#do(act);
    this.#lose();
    this.#submit();
    for (const player of this.#players) this.#forward(player, inputOf(this.#kind, player.ins, 1), {});
    await Promise.all(this.#pending);
    for (const { layer } of this.#players) layer.destroy();
    this.#gradients?.destroy();
    for (const buffer of this.#buffers) buffer.destroy();
    if (this.#failures.length > 0) throw new Error(this.#failures.join('\n'));
  }

  async #do(act: Act): Promise<void> {
    const player = this.#players['layer' in act ? act.layer : 0];
    const { layer } = player;
    const input = inputOf(this.#kind, player.ins, 'shape' in act ? act.shape : 1);
    const call =
      'larger' in act && act.larger ? { outputSize: largerSize(this.#kind, layer.outputShape(input.shape)) } : {};
    switch (act.act) {
      case 'load':
        // What was recorded before is submitted before.
        this.#submit();
        this.#load(player, act.seed, act.from);
        break;
      case 'forward':
        this.#forward(player, input, call, act.output, act.abortAfter, act.transfer);
        break;
      case 'function':
        this.#function(input, call, act.abortAfter);
        break;
      case 'prepare':
        this.#call(
          player,
          act.abortAfter,
          async (signal) => {
            const plan = await layer.prepare(input.shape, { ...call, signal });
            return () => (Object.isFrozen(plan) ? undefined : 'a plan that is not frozen');
          },
          // All may be there already, while a loss is not known yet.
          { withoutDevice: true },
        );
        break;
      case 'encode':
        this.#encode(player, input, call, act);
        break;
      case 'submit':
        this.#submit();
        break;
      case 'stateDict':
        this.#call(
          player,
          undefined,
          async () => {
            const state = await layer.stateDict();
            return (wanted) => otherState(state, wanted);
          },
          { withoutDevice: true },
        );
        break;
      case 'backward':
        this.#backward(input, act.abortAfter);
        break;
      case 'gradients':
      case 'prepare gradients': {
        const of = inputOf(this.#kind, player.ins, act.shape, act.image);
        const size = act.larger ? { outputSize: largerSize(this.#kind, layer.outputShape(of.shape)) } : {};
        if (act.act === 'gradients') this.#encodeBackward(of, size, act.targets);
        else this.#prepareGradients(of, size);
        break;
      }
      case 'destroy gradients':
        this.#submit();
        this.#gradients?.destroy();
        this.#gradientsDestroyed = true;
        break;
      case 'lose':
        this.#lose();
        break;
      case 'crowd': {
        if (player.destroyed) break;
        const images = Array.from({ length: 66 }, (_, at) => [2 + (at % 9), 2 + Math.floor(at / 9)] as const);
        const inputs = images.map((image) => inputOf(this.#kind, player.ins, 1, image));
        for (const { shape } of inputs) layer.plan(shape);
        this.#forward(player, inputs[act.seed]!, {});
        break;
      }
      case 'wait':
        await turns(act.turns);
        break;
      case 'settle':
        await Promise.all(this.#pending);
        break;
      case 'destroy':
        this.#submit();
        layer.destroy();
        player.destroyed = true;
    }
  }

  /** Loses the device, in a sequence that may. */
  #lose(): void {
    if (!this.#sequence.lose || this.#device === 'cpu') return;
    this.#lost = true;
    this.#device.destroy();
  }

  #fail(what: string, came: string | undefined, allowed: readonly string[]): void {
    const to = came ?? 'nothing';
    this.met.set(to, (this.met.get(to) ?? 0) + 1);
    if (!allowed.includes(to)) this.#failures.push(`${what}: ${to}; allowed is ${allowed.join(', ')}`);
  }

  #load(player: Player, seed: number, from: string): void {
    const device = this.#device;
    const state = stateOf(this.#kind, player.ins, player.outs, seed);
    const given = { weight: copied(state.weight), bias: copied(state.bias!) };
    const load = (tensors: object, code = 'nothing'): void => {
      const came = thrownBy(() => {
        player.layer.loadStateDict(tensors as StateDict);
      });
      this.#fail(`load from ${from}`, came, [player.destroyed ? 'DESTROYED' : code]);
    };
    if (from === 'absurd') load({ ...given, bias: { ...given.bias, shape: [player.outs + 1] } }, 'INVALID_ARGUMENT');
    else if (from === 'host') load(given);
    else if (device === 'cpu') load({ ...given, weight: { ...given.weight, buffer: {} } }, 'UNSUPPORTED');
    else {
      const tensors =
        from === 'one buffer'
          ? inOneBuffer(device, given)
          : { weight: upload(device, given.weight), bias: upload(device, given.bias) };
      if (from === 'gone') tensors.weight.buffer.destroy();
      load(tensors);
      for (const { buffer } of Object.values(tensors)) buffer.destroy();
    }
    // Host tensors were copied.
    for (const { data } of Object.values(given)) (data as Float32Array).fill(1);
    const taken = from === 'host' || (device !== 'cpu' && from !== 'absurd');
    if (taken && !player.destroyed) player.had.push(from === 'gone' ? 'refused' : state);
  }

  /** Makes a call, and holds what it comes to against what it may; `anyway`: other codes, and whether it needs no device. */
  #call(
    player: Player | undefined,
    abortAfter: number | undefined,
    call: (signal: AbortSignal | undefined) => Promise<Wrong>,
    anyway: { readonly codes?: readonly string[]; readonly withoutDevice?: boolean } = {},
  ): void {
    const { length = 1 } = player?.had ?? {};
    /** What it may have had: the parameters before it, and those that were loaded since. */
    const had = (): readonly Parameters[] => player?.had.slice(length - 1) ?? [];
    const [destroyed, lost] = [player?.destroyed === true, this.#lost && anyway.withoutDevice !== true];
    const [controller, reason] = [new AbortController(), new Error('ABORTED')];
    if (abortAfter === 0) controller.abort(reason);
    const settled = call(abortAfter === undefined ? undefined : controller.signal).then(
      (wrong) => {
        const said = had().map((state) => (state === 'refused' ? 'numbers by no parameters' : wrong(state)));
        const came = said.length === 0 || said.includes(undefined) ? 'right' : said.join('; ');
        this.#fail('a call', came, destroyed || lost || abortAfter === 0 ? ['no result'] : ['right']);
      },
      (error: unknown) => {
        this.#fail('a call', error === reason ? 'ABORTED' : codeOf(error), [
          ...(controller.signal.aborted ? ['ABORTED'] : []),
          ...(player?.destroyed === true ? ['DESTROYED'] : []),
          ...(had().includes('refused') ? ['GPU_ERROR'] : []),
          ...(this.#lost ? ['DEVICE_LOST'] : []),
          ...(anyway.codes ?? []),
        ]);
      },
    );
    this.#pending.push(settled);
    if (abortAfter === undefined || abortAfter === 0) return;
    const abort = (): void => {
      controller.abort(reason);
    };
    if (abortAfter === 1) abort();
    else void turns(abortAfter - 2).then(abort);
  }

  #forward(
    player: Player,
    input: HostTensor,
    call: Call,
    to = 'new',
    abortAfter?: number,
    transfer?: { readonly tensor: string; readonly after: number },
  ): void {
    const shape = player.layer.outputShape(input.shape, call);
    const [from, length] = [copied(input), lengthOf(shape)];
    const Form = input.data.constructor as Float32ArrayConstructor;
    const mark = this.#kind.dtype === 'float16' ? float16Bits(7) : 7;
    const all = new Form(Math.max(length, from.data.length) + 3 * GUARD).fill(mark);
    const within = (count: number, begin = GUARD): Float32Array => all.subarray(begin, begin + count);
    const begin = to === "behind the input's" ? GUARD + 3 : GUARD;
    const output = to === 'new' ? undefined : { ...from, shape, data: within(length, begin) };
    const together = to === "the input's" || to === "behind the input's";
    if (together) all.set(from.data, GUARD);
    const given = together ? { ...from, data: within(from.data.length) } : from;
    this.#call(
      player,
      abortAfter,
      async (signal) => {
        const result = await player.layer.forward(given, { ...call, signal, output });
        if (output !== undefined && result !== output) return () => 'another than the output given';
        if (all.length === 0) return () => undefined;
        const around = [...all.subarray(0, GUARD), ...all.subarray(-GUARD)];
        if (around.some((value) => value !== mark)) return () => 'written beyond the output';
        return (state) => wrongOutput(this.#kind, input, call, state, result);
      },
      { withoutDevice: length === 0, codes: transfer === undefined ? [] : ['INVALID_ARGUMENT'] },
    );
    if (transfer === undefined) return;
    const { buffer } = transfer.tensor === 'output' && output ? output.data : given.data;
    const take = (): void => {
      structuredClone(buffer, { transfer: [buffer as ArrayBuffer] });
    };
    if (transfer.after === 0) take();
    else void turns(transfer.after).then(take);
  }

  #function(input: HostTensor, call: Call, abortAfter: number | undefined): void {
    const [player] = this.#players;
    const state = stateOf(this.#kind, player.ins, player.outs, 2);
    const given = { weight: copied(state.weight), bias: copied(state.bias!) };
    this.#call(
      undefined,
      abortAfter,
      async (signal) => {
        const { options } = this.#kind;
        const made = convTranspose2d(copied(input), given.weight, given.bias, {
          ...{ ...options, ...call, signal },
          device: this.#device,
        });
        // The parameters were copied.
        for (const { data } of Object.values(given)) data.fill(1);
        const wrong = wrongOutput(this.#kind, input, call, state, await made);
        if (wrong !== undefined) this.#failures.push(`convTranspose2d: ${wrong}`);
        return () => undefined;
      },
      { withoutDevice: input.data.length === 0 },
    );
  }

  #backward(input: HostTensor, abortAfter: number | undefined): void {
    const [player] = this.#players;
    const { dtype, options } = this.#kind;
    const { weight } = stateOf(this.#kind, player.ins, player.outs, 1);
    const gradOutput = integerTensor(player.layer.outputShape(input.shape), 5, 3, dtype);
    const forwardOutput = options.activation === 'relu' ? integerTensor(gradOutput.shape, 6, 3, dtype) : undefined;
    this.#call(
      undefined,
      abortAfter,
      async (signal) => {
        const given = { ...options, forwardOutput };
        const result = await convTranspose2dBackward(gradOutput, input, weight, {
          ...given,
          signal,
          device: this.#device,
        });
        const problem = { gradOutput, input, weight, options: given };
        const wrong = gradientMismatch(result, problem, { lane: 'exact', output: dtype });
        if (wrong !== undefined) this.#failures.push(wrong);
        return () => undefined;
      },
      { codes: this.#backwardCodes, withoutDevice: input.data.length === 0 },
    );
  }

  #prepareGradients(input: HostTensor, call: Call): void {
    const gradients = this.#gradients;
    if (gradients === undefined) return;
    const destroyed = this.#gradientsDestroyed;
    this.#call(
      undefined,
      undefined,
      async () => {
        await gradients.prepare(input.shape, call);
        if (destroyed) this.#failures.push('destroyed gradients were prepared');
        return () => undefined;
      },
      { codes: [...this.#backwardCodes, 'DESTROYED'], withoutDevice: true },
    );
  }

  #encodeBackward(input: HostTensor, call: Call, targets: readonly ('none' | 'new' | 'given')[]): void {
    const [device, gradients] = [this.#device, this.#gradients];
    if (device === 'cpu' || gradients === undefined) return;
    const [player] = this.#players;
    const { options } = this.#kind;
    const { weight } = stateOf(this.#kind, player.ins, player.outs, 1);
    const gradOutput = integerTensor(player.layer.outputShape(input.shape, call), 5, 3);
    const forwardOutput = options.activation === 'relu' ? integerTensor(gradOutput.shape, 6, 3) : undefined;
    const operands = { gradOutput, input, weight, ...(forwardOutput && { forwardOutput }) };
    const expected = convTranspose2dBackwardReference(gradOutput, input, weight, {
      ...options,
      ...call,
      forwardOutput,
    });
    const names = ['gradInput', 'gradWeight', 'gradBias'] as const;
    const encoder = (this.#encoder ??= device.createCommandEncoder({ label: 'sequence' }));
    const onDevice = Object.fromEntries(
      Object.entries(operands).map(([name, tensor]) => [name, this.#keep(upload(device, tensor))]),
    ) as unknown as BackwardOperands<GpuTensor>;
    const given = Object.fromEntries(
      names.map((name, i) => {
        const { shape } = expected[name];
        if (targets[i] === 'none') return [name, null];
        if (targets[i] === 'new') return [name, undefined];
        return [name, this.#place(device, 'marked', 1, integerTensor(shape, 9, 3))];
      }),
    );
    this.#inScopes(() => {
      const came = thrownBy(() => {
        const made = gradients.encodeBackward(encoder, onDevice, given, call) as Record<string, GpuTensor | null>;
        for (const name of names) {
          const [output, { shape, data }] = [made[name], expected[name]];
          if (given[name] === null && output !== null) this.#failures.push(`${name}: it was not asked for`);
          if (output === null || output === undefined) continue;
          this.#keep(output);
          this.#recorded.push({
            refused: false,
            output,
            wrong: (result) => {
              if (result.shape.join() !== shape.join()) return `${name}: shape ${result.shape.join()}`;
              const at = data.findIndex((value, i) => value !== result.data[i]);
              return at < 0 ? undefined : `${name} ${at}: ${result.data[at]} instead of ${data[at]}`;
            },
          });
        }
      });
      this.#fail('encodeBackward', came, [
        ...(this.#gradientsDestroyed ? ['DESTROYED'] : this.#lost ? ['nothing', 'DEVICE_LOST'] : ['nothing']),
        ...this.#backwardCodes,
      ]);
    });
  }

  #keep(tensor: GpuTensor): GpuTensor {
    this.#buffers.push(tensor.buffer);
    return tensor;
  }

  /** A tensor in a buffer of its own, with a mark around it, or in the buffer of inputs or of outputs. */
  #place(device: GPUDevice, place: string, side: 0 | 1, { shape, data, dtype = 'float32' }: HostTensor): GpuTensor {
    const bytes = new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
    if (place === 'shared' && this.#slots[side] < SLOTS) {
      this.#shared ??= [0, 1].map(() => {
        const usage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST;
        const buffer = device.createBuffer({ label: 'side by side', size: SLOTS * SLOT, usage });
        this.#buffers.push(buffer);
        return buffer;
      });
      const buffer = this.#shared[side]!;
      const offset = SLOT * this.#slots[side]++;
      const words = new Uint8Array(Math.ceil(bytes.length / 4) * 4);
      words.set(bytes);
      // Deno ends at a write of nothing.
      if (words.length > 0) device.queue.writeBuffer(buffer, offset, words);
      return { shape, buffer, dtype, offset };
    }
    if (place !== 'marked') return this.#keep(upload(device, { shape, data, dtype }));
    const size = OFFSET + Math.ceil(bytes.length / 4) * 4 + 4 * GUARD;
    const words = new Uint32Array(size / 4).fill(MARK);
    new Uint8Array(words.buffer).set(bytes, OFFSET);
    const { buffer } = this.#keep(upload(device, { shape: [size / 4], data: new Float32Array(words.buffer) }));
    this.#marked.push({ buffer, bytes: bytes.length, size });
    return { shape, buffer, dtype, offset: OFFSET };
  }

  #encode(player: Player, input: HostTensor, call: Call, act: Extract<Act, { act: 'encode' }>): void {
    const device = this.#device;
    const { layer, had, destroyed } = player;
    if (device === 'cpu') {
      const came = thrownBy(() => layer.encode({} as GPUCommandEncoder, {} as GpuTensor));
      this.#fail('encode', came, [destroyed ? 'DESTROYED' : 'UNSUPPORTED']);
      return;
    }
    const { given, place, chained, spoiled } = act;
    const { dtype } = this.#kind;
    const encoder = (this.#encoder ??= device.createCommandEncoder({ label: 'sequence' }));
    const from = this.#place(device, place, 0, input);
    const shape = layer.outputShape(input.shape, call);
    const to =
      given || place === 'shared' ? this.#place(device, place, 1, integerTensor(shape, 9, 3, dtype)) : undefined;
    const state = had.at(-1);
    const other = this.#players[player === this.#players[0] ? 1 : 0];
    const next = other.had.at(-1);
    const record = (
      one: Player,
      what: Parameters,
      tensors: [GpuTensor, (GpuTensor | undefined)?],
      more: Call,
      wrong: (state: StateDict, result: HostTensor) => string | undefined,
    ): GpuTensor | undefined => {
      let made: GpuTensor | undefined;
      const came = thrownBy(() => {
        const output = (made = this.#keep(one.layer.encode(encoder, tensors[0], tensors[1], more)));
        this.#recorded.push({
          refused: what === 'refused',
          output,
          wrong: (result) => wrong(what as StateDict, withBits(result)),
        });
      });
      this.#fail(
        'encode',
        came,
        one.destroyed
          ? ['DESTROYED']
          : ['nothing', ...(one.had.at(-1) === 'refused' ? ['GPU_ERROR'] : []), ...(this.#lost ? ['DEVICE_LOST'] : [])],
      );
      return made;
    };
    this.#inScopes(() => {
      const output = record(player, state, [from, to], call, (wanted, result) =>
        wrongOutput(this.#kind, input, call, wanted, result),
      );
      if (!chained || output === undefined || dtype === 'float16') return;
      // Another layer reads what this one writes.
      record(other, next, [output], {}, (wanted, result) => {
        // Infinity, which does not reach every output.
        if (state === 'refused') return undefined;
        const options = { ...this.#kind.options, ...call };
        const { shape: middle, data } = convTranspose2dReference(input, state.weight, state.bias, options);
        return wrongOutput(this.#kind, { shape: middle, data: Float32Array.from(data) }, {}, wanted, result);
      });
    });
    if (!spoiled) return;
    from.buffer.destroy();
    this.#shared = undefined;
    this.#spoiled = true;
  }

  /** A segment that makes no errors. */
  #inScopes(segment: () => void, mayFail = false): void {
    const scoped = inScopes(this.#device as GPUDevice, segment).catch((error: unknown) => {
      if (!mayFail && !this.#lost) this.#failures.push(`in the caller's scopes: ${String(error)}`);
    });
    this.#pending.push(scoped);
  }

  /** Submits what was recorded, and reads what came of it. */
  #submit(): void {
    const [device, encoder, recorded, spoiled] = [this.#device, this.#encoder, this.#recorded, this.#spoiled];
    if (device === 'cpu' || encoder === undefined) return;
    const marked = this.#marked;
    this.#slots = [0, 0];
    [this.#encoder, this.#recorded, this.#spoiled, this.#marked] = [undefined, [], false, []];
    this.#inScopes(
      () => {
        device.queue.submit([encoder.finish()]);
      },
      spoiled || recorded.some(({ refused }) => refused),
    );
    // A buffer that is gone takes all that was recorded with it.
    if (spoiled) return;
    const lost = this.#lost;
    const read = (what: string, tensor: GpuTensor, wrong: (result: HostTensor) => string | undefined): void => {
      const settled = download(device, tensor).then(
        (result) => {
          this.#fail(what, lost ? 'numbers of a lost device' : (wrong(result) ?? what), [
            what,
            ...(lengthOf(tensor.shape) === 0 ? ['numbers of a lost device'] : []),
          ]);
        },
        (error: unknown) => {
          this.#fail('download', codeOf(error), this.#lost ? ['DEVICE_LOST'] : []);
        },
      );
      this.#pending.push(settled);
    };
    for (const { refused, output, wrong } of recorded) {
      read('recorded', output, (result) => {
        if (!refused) return wrong(result);
        return valuesOf(result).some(Number.isFinite) ? 'numbers by no parameters' : undefined;
      });
    }
    for (const { buffer, bytes, size } of marked) {
      read('marked', { shape: [size / 4], buffer }, ({ data }) => {
        const halves = new Uint16Array(data.buffer);
        const mark = [MARK & 0xffff, MARK >>> 16];
        const at = halves.findIndex((half, i) => (2 * i < OFFSET || 2 * i >= OFFSET + bytes) && half !== mark[i % 2]);
        return at < 0 ? undefined : `written at byte ${2 * at} of a tensor from ${OFFSET} of ${bytes}`;
      });
    }
  }
}

/** Weight and bias side by side. */
function inOneBuffer(
  device: GPUDevice,
  { weight, bias }: Record<'weight' | 'bias', HostTensor>,
): Record<'weight' | 'bias', GpuTensor> {
  const bytes = new Uint8Array(4 * OFFSET + weight.data.byteLength);
  for (const [offset, { data }] of [
    [4 * OFFSET, weight],
    [OFFSET, bias],
  ] as const) {
    bytes.set(new Uint8Array(data.buffer, data.byteOffset, data.byteLength), offset);
  }
  const size = Math.ceil(bytes.length / 4);
  const all = new Float32Array(size);
  new Uint8Array(all.buffer).set(bytes);
  const { buffer } = upload(device, { shape: [size], data: all });
  const { dtype = 'float32' } = weight;
  return {
    weight: { shape: weight.shape, buffer, dtype, offset: 4 * OFFSET },
    bias: { shape: bias.shape, buffer, dtype, offset: OFFSET },
  };
}

const codeOf = (error: unknown): string => (error instanceof ConvTranspose2dError ? error.code : String(error));

function thrownBy(call: () => unknown): string | undefined {
  try {
    call();
    return undefined;
  } catch (error) {
    return codeOf(error);
  }
}

async function turns(count: number): Promise<void> {
  for (let turn = 0; turn < count; turn++) await (turn % 2 ? undefined : new Promise((done) => setTimeout(done)));
}
