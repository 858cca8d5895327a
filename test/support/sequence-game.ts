/** Plays a sequence of acts on two layers of one device, and holds each call against a model of what it may come to. */
import {
  ConvTranspose2d,
  ConvTranspose2dError,
  convTranspose2dBackward,
  download,
  upload,
  type Call,
  type GpuTensor,
  type HostTensor,
  type StateDict,
} from '../../src/index.ts';
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
  readonly state: Parameters;
  readonly output: GpuTensor;
  readonly wrong: (state: StateDict, output: HostTensor) => string | undefined;
}

const GUARD = 8;

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
  #encoder: GPUCommandEncoder | undefined;
  #recorded: Recorded[] = [];
  #spoiled = false;
  #lost = false;

  constructor(device: GPUDevice | 'cpu', sequence: Sequence, backwardCodes: readonly string[]) {
    this.#device = device;
    this.#sequence = sequence;
    this.#kind = sequence.kind;
    this.#backwardCodes = backwardCodes;
    const player = (ins: number, outs: number): Player => {
      const { options, dtype } = this.#kind;
      const layer = new ConvTranspose2d(ins, outs, [3, 2], { ...options, dtype, device });
      return { ...{ layer, ins, outs }, had: [], destroyed: false };
    };
    this.#players = [player(2, 3), player(3, 2)];
    for (const one of this.#players) this.#load(one, 0, 'host');
  }

  /** @throws with what was not as the model has it */
  async play(): Promise<void> {
    for (const act of this.#sequence.acts) await this.#do(act);
    if (this.#sequence.lose && this.#device !== 'cpu') {
      this.#lost = true;
      this.#device.destroy();
    }
    this.#submit();
    for (const player of this.#players) this.#forward(player, inputOf(this.#kind, player.ins, 1), {});
    await Promise.all(this.#pending);
    for (const { layer } of this.#players) layer.destroy();
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
        this.#forward(player, input, call, act.output, act.abortAfter);
        break;
      case 'prepare':
        this.#call(player, act.abortAfter, async (signal) => {
          const plan = await layer.prepare(input.shape, { ...call, signal });
          return () => (Object.isFrozen(plan) ? undefined : 'a plan that is not frozen');
        });
        break;
      case 'encode':
        this.#encode(player, input, call, act);
        break;
      case 'submit':
        this.#submit();
        break;
      case 'stateDict':
        this.#call(player, undefined, async () => {
          const state = await layer.stateDict();
          return (wanted) => otherState(state, wanted);
        });
        break;
      case 'backward':
        this.#backward(input, act.abortAfter);
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
      const tensors = { weight: upload(device, given.weight), bias: upload(device, given.bias) };
      if (from === 'gone') tensors.weight.buffer.destroy();
      load(tensors);
      for (const { buffer } of Object.values(tensors)) buffer.destroy();
    }
    // Host tensors were copied.
    for (const { data } of Object.values(given)) (data as Float32Array).fill(1);
    const taken = from === 'host' || (device !== 'cpu' && from !== 'absurd');
    if (taken && !player.destroyed) player.had.push(from === 'gone' ? 'refused' : state);
  }

  /** Makes a call, and holds what it comes to against what it may. */
  #call(
    player: Player | undefined,
    abortAfter: number | undefined,
    call: (signal: AbortSignal | undefined) => Promise<Wrong>,
  ): void {
    const { length = 1 } = player?.had ?? {};
    /** What it may have had: the parameters before it, and those that were loaded since. */
    const had = (): readonly Parameters[] => player?.had.slice(length - 1) ?? [];
    const [destroyed, lost] = [player?.destroyed === true, this.#lost];
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
          ...(player === undefined ? this.#backwardCodes : []),
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

  #forward(player: Player, input: HostTensor, call: Call, to = 'new', abortAfter?: number): void {
    const shape = player.layer.outputShape(input.shape, call);
    const [from, length] = [copied(input), lengthOf(shape)];
    const Form = input.data.constructor as Float32ArrayConstructor;
    const mark = this.#kind.dtype === 'float16' ? float16Bits(7) : 7;
    const all = new Form(Math.max(length, from.data.length) + 2 * GUARD).fill(mark);
    const within = (count: number): Float32Array => all.subarray(GUARD, GUARD + count);
    const output = to === 'new' ? undefined : { ...from, shape, data: within(length) };
    if (to === "the input's") all.set(from.data, GUARD);
    const given = to === "the input's" ? { ...from, data: within(from.data.length) } : from;
    this.#call(player, abortAfter, async (signal) => {
      const result = await player.layer.forward(given, { ...call, signal, output });
      if (output !== undefined && result !== output) return () => 'another than the output given';
      const around = [...all.subarray(0, GUARD), ...all.subarray(-GUARD)];
      if (around.some((value) => value !== mark)) return () => 'written beyond the output';
      return (state) => wrongOutput(this.#kind, input, call, state, result);
    });
  }

  #backward(input: HostTensor, abortAfter: number | undefined): void {
    const [player] = this.#players;
    const { dtype, options } = this.#kind;
    const { weight } = stateOf(this.#kind, player.ins, player.outs, 1);
    const gradOutput = integerTensor(player.layer.outputShape(input.shape), 5, 3, dtype);
    const forwardOutput = options.activation === 'relu' ? integerTensor(gradOutput.shape, 6, 3, dtype) : undefined;
    this.#call(undefined, abortAfter, async (signal) => {
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
    });
  }

  #encode(player: Player, input: HostTensor, call: Call, { given, spoiled }: Extract<Act, { act: 'encode' }>): void {
    const device = this.#device;
    const { layer, had, destroyed } = player;
    if (device === 'cpu') {
      const came = thrownBy(() => layer.encode({} as GPUCommandEncoder, {} as GpuTensor));
      this.#fail('encode', came, [destroyed ? 'DESTROYED' : 'UNSUPPORTED']);
      return;
    }
    const keep = (tensor: GpuTensor): GpuTensor => {
      this.#buffers.push(tensor.buffer);
      return tensor;
    };
    const encoder = (this.#encoder ??= device.createCommandEncoder({ label: 'sequence' }));
    const from = keep(upload(device, input));
    const shape = layer.outputShape(input.shape, call);
    const room = integerTensor([Math.max(1, lengthOf(shape))], 9, 3, this.#kind.dtype);
    const to = given ? { ...keep(upload(device, room)), shape } : undefined;
    const state = had.at(-1);
    this.#inScopes(() => {
      const came = thrownBy(() => {
        const output = keep(layer.encode(encoder, from, to, call));
        this.#recorded.push({
          state,
          output,
          wrong: (wanted, result) => wrongOutput(this.#kind, input, call, wanted, result),
        });
      });
      this.#fail(
        'encode',
        came,
        destroyed ? ['DESTROYED'] : state === 'refused' ? ['nothing', 'GPU_ERROR'] : ['nothing'],
      );
    });
    if (!spoiled) return;
    from.buffer.destroy();
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
    [this.#encoder, this.#recorded, this.#spoiled] = [undefined, [], false];
    this.#inScopes(
      () => {
        device.queue.submit([encoder.finish()]);
      },
      spoiled || recorded.some(({ state }) => state === 'refused'),
    );
    // A buffer that is gone takes all that was recorded with it.
    if (spoiled) return;
    for (const { state, output, wrong } of recorded) {
      const read = download(device, output).then(
        (result) => {
          const values = valuesOf(result);
          const right = state === 'refused' ? !values.some(Number.isFinite) : undefined;
          const said =
            state === 'refused' ? (right ? undefined : 'numbers by no parameters') : wrong(state, withBits(result));
          this.#fail('recorded', said ?? 'recorded', ['recorded']);
        },
        (error: unknown) => {
          this.#fail('download', codeOf(error), this.#lost ? ['DEVICE_LOST'] : []);
        },
      );
      this.#pending.push(read);
    }
  }
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
