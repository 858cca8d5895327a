/** WebAssembly memory and its allocator. */
import { ConvTranspose2dError } from '../errors.ts';

const PAGE = 65536;
/** Maximum sizes to try: all that 32 bits address, then less, for systems that do not reserve so much. */
const MAXIMUM_PAGES = [65536, 32768, 16384, 4096];
/** Blocks begin at multiples of this, and have as much room behind them, since vectors may be read beyond a tensor's end. */
export const ALIGNMENT = 64;

export const aligned = (bytes: number): number => Math.ceil(bytes / ALIGNMENT) * ALIGNMENT;

function outOfMemory(bytes: number, cause?: unknown): ConvTranspose2dError {
  return new ConvTranspose2dError('OUT_OF_MEMORY', `could not allocate ${bytes} bytes of WebAssembly memory`, {
    cause,
  });
}

interface Block {
  readonly start: number;
  readonly end: number;
}

/** Blocks of a memory that grows to what is asked for. What is freed is used again; memory never shrinks. */
export class WasmHeap {
  readonly memory: WebAssembly.Memory;
  readonly #used = new Map<number, Block>();
  /** In ascending order, none next to another. The first bytes stay unused: 0 is no address. */
  #free: Block[] = [{ start: ALIGNMENT, end: PAGE }];

  /** @param memory of one page, all of which is the heap's */
  constructor(memory: WebAssembly.Memory) {
    this.memory = memory;
  }

  /** @throws ConvTranspose2dError OUT_OF_MEMORY */
  allocate(bytes: number): number {
    const size = aligned(bytes + ALIGNMENT);
    let index = this.#free.findIndex(({ start, end }) => end - start >= size);
    if (index < 0) {
      this.#grow(size);
      index = this.#free.length - 1;
    }
    const [block] = this.#free.splice(index, 1) as [Block];
    const { start } = block;
    this.#used.set(start, { start, end: start + size });
    if (start + size < block.end) this.#free.splice(index, 0, { start: start + size, end: block.end });
    return start;
  }

  free(address: number): void {
    const block = this.#used.get(address);
    if (block === undefined) return;
    this.#used.delete(address);
    this.#insert(block);
  }

  #insert({ start, end }: Block): void {
    const before = this.#free.find((block) => block.end === start);
    const after = this.#free.find((block) => block.start === end);
    const joined = { start: before?.start ?? start, end: after?.end ?? end };
    this.#free = [...this.#free.filter((block) => block !== before && block !== after), joined];
    this.#free.sort((a, b) => a.start - b.start);
  }

  /** Grows the memory until its last free block has `size` bytes. */
  #grow(size: number): void {
    const end = this.memory.buffer.byteLength;
    const last = this.#free.find((block) => block.end === end) ?? { start: end };
    const pages = Math.ceil((size - (end - last.start)) / PAGE);
    try {
      this.memory.grow(pages);
    } catch (cause) {
      throw outOfMemory(size, cause);
    }
    this.#insert({ start: end, end: end + pages * PAGE });
  }
}

/** A memory of one page, which grows to what the system lets it. @throws ConvTranspose2dError OUT_OF_MEMORY */
export function newMemory(shared: boolean): WebAssembly.Memory {
  let cause: unknown;
  for (const maximum of MAXIMUM_PAGES) {
    try {
      return new WebAssembly.Memory({ initial: 1, maximum, shared });
    } catch (error) {
      cause = error;
    }
  }
  throw outOfMemory(PAGE, cause);
}
