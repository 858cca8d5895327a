/** The messages between the page and its workers. */
import type { ConvTranspose2dErrorCode } from '../errors.ts';
import type { Board } from './board.ts';
import type { Task, WasmData } from './engine.ts';
import type { WasmPlan } from './wasm-plan.ts';
import type { WasmAddresses } from './wasm-runner.ts';

/** The first request. With `memory`, the worker runs jobs on that; without, whole calls on memory of its own. */
export interface Start {
  readonly kind: 'start';
  readonly module: WebAssembly.Module;
  readonly memory?: WebAssembly.Memory;
}

/** Asks the worker to take jobs from a call's board, as many as it gets. */
export interface Jobs {
  readonly kind: 'jobs';
  readonly words: WasmPlan['words'];
  readonly addresses: WasmAddresses;
  readonly board: Board;
}

export type Request =
  | Start
  | Jobs
  | { readonly kind: 'load'; readonly packed: Float32Array<ArrayBuffer> }
  | { readonly kind: 'forward'; readonly task: Task };

/** Messages without a reply. */
export type Notice =
  { readonly kind: 'unload'; readonly weights: number } | { readonly kind: 'abort'; readonly id: number };

export type ToWorker = (Request & { readonly id: number }) | Notice;

export interface FromWorker {
  readonly id: number;
  readonly value?: number | WasmData | undefined;
  readonly error?: { readonly code: ConvTranspose2dErrorCode | undefined; readonly message: string };
}
