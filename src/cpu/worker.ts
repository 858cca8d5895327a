/** A worker: runs jobs on the page's memory, or whole calls on its own. Bundled by itself, see scripts/build-worker.mjs. */
import { ConvTranspose2dError } from '../errors.ts';
import { LocalEngine } from './engine.ts';
import { give } from './given-binaries.ts';
import { NEXT, STOP, type FromWorker, type Jobs, type Request, type ToWorker } from './messages.ts';
import type { WasmData } from './wasm-host.ts';
import { WasmRunner } from './wasm-runner.ts';

/** A worker's global scope, which the library's own types do not have. */
interface Scope {
  onmessage: (event: MessageEvent<ToWorker>) => void;
  postMessage(message: FromWorker, transfer?: Transferable[]): void;
}

const scope = globalThis as unknown as Scope;
const stops = new Map<number, AbortController>();
let engine: LocalEngine | undefined;
let runner: WasmRunner | undefined;
/** Calls run one after the other. */
let previous: Promise<unknown> = Promise.resolve();

scope.onmessage = ({ data }) => {
  if (data.kind === 'abort') stops.get(data.id)?.abort();
  else if (data.kind === 'unload') engine?.unload(data.weights);
  else void reply(data);
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

function handle(request: Request & { readonly id: number }): number | undefined | Promise<WasmData> {
  switch (request.kind) {
    case 'start': {
      give(request.binaries);
      const { memory, variant } = request;
      if (memory === undefined) engine = new LocalEngine(variant);
      else runner = new WasmRunner(memory, variant);
      return undefined;
    }
    case 'load':
      return engine?.load(request.packed);
    case 'jobs':
      runJobs(request);
      return undefined;
    case 'forward': {
      const stop = new AbortController();
      stops.set(request.id, stop);
      const run = previous.then(() => {
        if (engine === undefined) throw new Error('a worker with a memory of the page runs jobs alone');
        return engine.forward(request.task, stop.signal);
      });
      previous = run.then(
        () => stops.delete(request.id),
        () => stops.delete(request.id),
      );
      return run;
    }
  }
}

function runJobs({ plan, addresses, threads, control }: Jobs): void {
  const run = runner?.start(plan, addresses);
  for (;;) {
    const first = Atomics.load(control, NEXT);
    if (first >= plan.jobs) return;
    // Neighbours at once, for they share strips; fewer and fewer, so that all threads end together.
    const end = first + Math.max(1, Math.floor((plan.jobs - first) / (4 * threads)));
    if (Atomics.compareExchange(control, NEXT, first, end) !== first) continue;
    for (let job = first; job < end; job++) {
      if (Atomics.load(control, STOP) !== 0) return;
      run?.(job, job + 1);
    }
  }
}
