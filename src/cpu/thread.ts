/** A worker, seen from the page: requests and their replies, and its death. */
import { ConvTranspose2dError } from '../errors.ts';
import type { WasmData } from './engine.ts';
import type { FromWorker, Notice, Request, Start } from './messages.ts';
import { workerSource } from './worker-source.ts';

interface Waiting {
  readonly resolve: (value: number | WasmData | undefined) => void;
  readonly reject: (error: Error) => void;
}

export class Thread {
  readonly #worker: Worker;
  readonly #waiting = new Map<number, Waiting>();
  readonly #onDeath: (why: string) => void;
  #lastId = 0;
  /** Why it is dead; undefined while it lives. */
  #death: string | undefined;

  private constructor(onDeath: (why: string) => void) {
    this.#onDeath = onDeath;
    const url = URL.createObjectURL(new Blob([workerSource], { type: 'text/javascript' }));
    try {
      this.#worker = new Worker(url, { name: 'conv-transpose2d' });
    } catch (cause) {
      URL.revokeObjectURL(url);
      throw cause;
    }
    this.#worker.onmessage = ({ data }: MessageEvent<FromWorker>) => {
      URL.revokeObjectURL(url);
      const waiting = this.#waiting.get(data.id);
      this.#waiting.delete(data.id);
      if (data.error === undefined) waiting?.resolve(data.value);
      else if (data.error.code === undefined) waiting?.reject(new Error(data.error.message));
      else waiting?.reject(new ConvTranspose2dError(data.error.code, data.error.message));
    };
    const die = (event: Event): void => {
      // The rejected calls report it, so the page's own error handlers need not.
      event.preventDefault();
      URL.revokeObjectURL(url);
      const said = 'message' in event && typeof event.message === 'string' ? `: ${event.message}` : '';
      this.terminate(`a worker of the CPU path died${said}`);
    };
    this.#worker.onerror = die;
    this.#worker.onmessageerror = die;
  }

  /**
   * Starts a worker.
   * @param onDeath told once, when it dies or is terminated after it has started
   * @throws where workers may not be made
   */
  static async open(start: Omit<Start, 'kind'>, onDeath: (why: string) => void): Promise<Thread> {
    let started = false;
    const thread = new Thread((why) => {
      if (started) onDeath(why);
    });
    try {
      await thread.request({ kind: 'start', ...start }).reply;
    } catch (error) {
      thread.terminate();
      throw error;
    }
    started = true;
    return thread;
  }

  request(
    request: Request,
    transfer: Transferable[] = [],
  ): { readonly id: number; readonly reply: Promise<number | WasmData | undefined> } {
    const id = ++this.#lastId;
    const reply = new Promise<number | WasmData | undefined>((resolve, reject) => {
      if (this.#death !== undefined) throw new ConvTranspose2dError('DEVICE_LOST', this.#death);
      this.#worker.postMessage({ ...request, id }, transfer);
      this.#waiting.set(id, { resolve, reject });
    });
    return { id, reply };
  }

  notify(notice: Notice): void {
    this.#worker.postMessage(notice);
  }

  /** Ends the worker. Requests under way are rejected. */
  terminate(why = 'the CPU path was let go'): void {
    if (this.#death !== undefined) return;
    this.#death = why;
    this.#worker.terminate();
    const waiting = [...this.#waiting.values()];
    this.#waiting.clear();
    for (const { reject } of waiting) reject(new ConvTranspose2dError('DEVICE_LOST', why));
    this.#onDeath(why);
  }
}
