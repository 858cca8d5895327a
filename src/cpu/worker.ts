/** The worker's script: runs jobs on the page's memory, or whole calls on its own. Bundled by scripts/build-worker.mjs. */
import { ConvTranspose2dError } from '../errors.ts';
import { takePart } from './board.ts';
import { LocalEngine, type WasmData } from './engine.ts';
import type { FromWorker, Request, Start, ToWorker } from './messages.ts';
import { newMemory } from './wasm-heap.ts';
import { WasmRunner } from './wasm-runner.ts';

/** A worker's global scope, which the library's own types do not have. */
interface Scope {
  onmessage: (event: MessageEvent<ToWorker>) => void;
  onmessageerror: () => void;
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
}

const scope = globalThis as unknown as Scope;
const stops = new Map<number, AbortController>();
/** One of the two, from the first message on. */
let engine: LocalEngine | undefined;
let runner: WasmRunner | undefined;
/** The call before: whole calls run one after the other. */
let previous: Promise<unknown> = Promise.resolve();

scope.onmessage = ({ data }) => {
  if (data.kind === 'abort') stops.get(data.id)?.abort();
  else if (data.kind === 'unload') engine?.unload(data.weights);
  else void reply(data);
};
// Of a message that does not arrive, such as memory where the worker may not share any, the page would not hear again.
scope.onmessageerror = () => {
  throw new Error('unreadable message');
};

async function reply(request: Request & { readonly id: number }): Promise<void> {
  const { id } = request;
  try {
    const value = await handle(request);
    scope.postMessage({ id, value }, typeof value === 'object' ? [value.buffer as ArrayBuffer] : []);
  } catch (error) {
    const code = error instanceof ConvTranspose2dError ? error.code : undefined;
    scope.postMessage({ id, error: { code, message: error instanceof Error ? error.message : String(error) } });
  }
}

function handle(request: Request & { readonly id: number }): Promise<number | WasmData | undefined> | undefined {
  switch (request.kind) {
    case 'start':
      return start(request);
    case 'load':
      return engine!.load(request.packed);
    case 'jobs':
      takePart(request.board, () => runner!.start(request.words, request.addresses));
      return undefined;
    case 'forward': {
      const stop = new AbortController();
      stops.set(request.id, stop);
      const run = previous.then(() => engine!.forward(request.task, stop.signal));
      previous = run.then(
        () => stops.delete(request.id),
        () => stops.delete(request.id),
      );
      return run;
    }
  }
}

async function start({ memory, module }: Start): Promise<undefined> {
  const opened = await WasmRunner.open(memory ?? newMemory(false), module);
  if (memory === undefined) engine = new LocalEngine(opened);
  else runner = opened;
}
