/** Reads a file piece by piece, wherever it comes from, and checks its header before it waits for the rest. */
import { invalid } from '../invalid.ts';
import { checkedBy, ofType, optionsOf, signalOf, type Rule } from '../options.ts';
import { allocate } from '../tensors.ts';
import { Checkpoint } from './checkpoint.ts';
import { damaged, headerEnd, parseHeader, PREFIX_BYTES, type Header } from './header.ts';

/** How a file is read. */
export interface ReadOptions {
  /** Called with the bytes that have arrived, and with the file's size once its header is known. */
  onProgress?: ((loadedBytes: number, totalBytes: number | undefined) => void) | undefined;
  /** Aborts the reading, which then rejects with the signal's reason. */
  signal?: AbortSignal | undefined;
  /** Of the request, where `source` is an address: headers, credentials, cache. */
  request?: RequestInit | undefined;
}

const RULES: Readonly<Record<keyof ReadOptions, Rule>> = {
  onProgress: [ofType, undefined, ['function', 'a function, or left out']],
  signal: [signalOf, undefined],
  request: [ofType, undefined, ['object', "an object as fetch's, or left out"]],
};

/**
 * Reads a `.safetensors` file. Its header is checked before its tensors are waited for, and memory is taken for bytes
 * that have come, never for those that a header promises.
 * @param source an address, a `File` or `Blob`, or the file's bytes (which are read in place: leave them as they are)
 * @throws ConvTranspose2dError INVALID_ARGUMENT where the file is damaged, with the byte or tensor; where an address is
 * answered with an error; OUT_OF_MEMORY. What `fetch` itself rejects with, and the reason of an abort, come as they are.
 */
export async function readSafetensors(
  source: string | URL | Blob | ArrayBuffer | ArrayBufferView,
  options: ReadOptions = {},
): Promise<Checkpoint> {
  checkedBy(RULES, optionsOf(options, Object.keys(RULES)));
  const { signal, onProgress } = options;
  signal?.throwIfAborted();
  const name = nameOf(source);
  const collector = new Collector(name);
  for await (const chunk of chunksOf(source, options)) {
    signal?.throwIfAborted();
    collector.add(chunk);
    onProgress?.(collector.received, collector.header?.fileBytes);
  }
  return collector.finish();
}

/** A source's name in messages. */
function nameOf(source: unknown): string {
  if (typeof source === 'string' || source instanceof URL) return `'${String(source)}'`;
  if (source instanceof Blob) return 'name' in source ? `'${String(source.name)}'` : 'the blob';
  if (source instanceof ArrayBuffer || ArrayBuffer.isView(source)) return 'the file';
  throw invalid('source', source, 'it must be an address, a File or Blob, an ArrayBuffer or a view of one');
}

async function* chunksOf(
  source: string | URL | Blob | ArrayBuffer | ArrayBufferView,
  { signal, request }: ReadOptions,
): AsyncGenerator<Uint8Array> {
  if (source instanceof ArrayBuffer) yield new Uint8Array(source);
  else if (ArrayBuffer.isView(source)) yield new Uint8Array(source.buffer, source.byteOffset, source.byteLength);
  else if (source instanceof Blob) yield* piecesOf(source.stream());
  else {
    const response = await fetch(source, { ...request, ...(signal === undefined ? {} : { signal }) });
    if (!response.ok)
      throw invalid('source', String(source), `the server answered ${response.status} ${response.statusText}`);
    if (response.body !== null) yield* piecesOf(response.body);
  }
}

/** A stream's pieces; one that is left early is cancelled. Not every browser has streams as iterables. */
async function* piecesOf(stream: ReadableStream<Uint8Array>): AsyncGenerator<Uint8Array> {
  const reader = stream.getReader();
  try {
    for (;;) {
      const { done, value } = await reader.read();
      if (done) return;
      yield value;
    }
  } finally {
    // A stream that ended, or failed, has nothing to cancel.
    await reader.cancel().catch(() => undefined);
  }
}

/** Pieces of a file, its header checked as soon as it is whole. */
class Collector {
  readonly #source: string;
  readonly #chunks: Uint8Array[] = [];
  #headerEnd: number | undefined;
  received = 0;
  header: Header | undefined;

  constructor(source: string) {
    this.#source = source;
  }

  add(chunk: Uint8Array): void {
    this.#chunks.push(chunk);
    this.received += chunk.length;
    if (this.#headerEnd === undefined && this.received >= PREFIX_BYTES) {
      this.#headerEnd = headerEnd(this.#source, this.#first(PREFIX_BYTES));
    }
    if (this.header === undefined && this.#headerEnd !== undefined && this.received >= this.#headerEnd) {
      this.header = parseHeader(this.#source, this.#first(this.#headerEnd));
    }
    if (this.header !== undefined && this.received > this.header.fileBytes) {
      throw damaged(this.#source, `byte ${this.header.fileBytes}`, 'the last tensor ends here, the file goes on');
    }
  }

  finish(): Checkpoint {
    const { header, received } = this;
    if (header === undefined) {
      const part = this.#headerEnd === undefined ? 'its first 8 bytes' : `its header, of ${this.#headerEnd} bytes`;
      throw damaged(this.#source, `byte ${received}`, `the file ends within ${part}`);
    }
    const cut = header.entries.find(({ end }) => end > received);
    if (cut !== undefined) {
      const { name, begin, end } = cut;
      throw damaged(
        this.#source,
        `byte ${received}`,
        `the file ends; tensor '${name}' has bytes ${begin} to ${end - 1}`,
      );
    }
    return new Checkpoint(this.#source, header, this.#first(received));
  }

  /** The first bytes in one piece. */
  #first(count: number): Uint8Array {
    const [chunk] = this.#chunks;
    if (chunk !== undefined && chunk.length >= count) return chunk.subarray(0, count);
    const bytes = new Uint8Array(allocate(count));
    let at = 0;
    for (const piece of this.#chunks) {
      if (at === count) break;
      const part = piece.subarray(0, count - at);
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }
}
