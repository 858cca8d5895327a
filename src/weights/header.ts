// The header of a .safetensors file, checked in full before any of its tensors is believed. The format is 8 bytes of
// length, little-endian, that many bytes of JSON, and the tensors' bytes. Source: https://github.com/huggingface/safetensors
//
// Why our own reader: of npm's packages, @huggingface/hub reads this header alone, from its own hub, and is 2.7 MB with
// what it depends on; the package `safetensors` has stood at 0.0.1 for years and checks nothing.
import { ConvTranspose2dError } from '../errors.ts';
import { shown } from '../invalid.ts';

/** The element types of the format, by its own names. */
export type SafetensorsDType =
  | 'BOOL'
  | 'F4'
  | 'F6_E2M3'
  | 'F6_E3M2'
  | 'U8'
  | 'I8'
  | 'F8_E4M3'
  | 'F8_E4M3FNUZ'
  | 'F8_E5M2'
  | 'F8_E5M2FNUZ'
  | 'F8_E8M0'
  | 'I16'
  | 'U16'
  | 'F16'
  | 'BF16'
  | 'I32'
  | 'U32'
  | 'F32'
  | 'I64'
  | 'U64'
  | 'F64'
  | 'C64';

/** Bits of an element. Tensors of any of these may stand in a file; those of floats of 16 and 32 bits can be read. */
const BITS: Readonly<Record<SafetensorsDType, number>> = {
  BOOL: 8,
  F4: 4,
  F6_E2M3: 6,
  F6_E3M2: 6,
  U8: 8,
  I8: 8,
  F8_E4M3: 8,
  F8_E4M3FNUZ: 8,
  F8_E5M2: 8,
  F8_E5M2FNUZ: 8,
  F8_E8M0: 8,
  I16: 16,
  U16: 16,
  F16: 16,
  BF16: 16,
  I32: 32,
  U32: 32,
  F32: 32,
  I64: 64,
  U64: 64,
  F64: 64,
  C64: 64,
};

/** A tensor's place in the file. */
export interface Entry {
  readonly name: string;
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
  /** Its first byte, and the one after its last, counted from the file's beginning. */
  readonly begin: number;
  readonly end: number;
}

export interface Header {
  readonly entries: readonly Entry[];
  readonly metadata: ReadonlyMap<string, string>;
  /** Bytes of the whole file. */
  readonly fileBytes: number;
}

/** Of the length that a file begins with. */
export const PREFIX_BYTES = 8;

/** The format's own limit on its header. */
const MOST_HEADER_BYTES = 100_000_000;

/** The error of a file that is not as it should be; `where` names a byte or a tensor. */
export function damaged(source: string, where: string, what: string, cause?: unknown): ConvTranspose2dError {
  return new ConvTranspose2dError('INVALID_ARGUMENT', `${source} cannot be read: ${where}: ${what}`, { cause });
}

/** The bytes up to the header's end, from the file's first eight. */
export function headerEnd(source: string, prefix: Uint8Array): number {
  const view = new DataView(prefix.buffer, prefix.byteOffset, PREFIX_BYTES);
  // PyTorch's own files are zip archives, older ones pickles.
  if (view.getUint32(0, true) === 0x04034b50) {
    throw damaged(source, 'byte 0', 'it is a zip archive, as torch.save writes; save with safetensors.torch.save_file');
  }
  const length = view.getBigUint64(0, true);
  if (length < 2n || length > BigInt(MOST_HEADER_BYTES)) {
    const rule = `it must be of 2 to ${MOST_HEADER_BYTES} bytes: this is no .safetensors file, or its beginning is damaged`;
    throw damaged(source, 'bytes 0 to 7', `the header's length is ${length}; ${rule}`);
  }
  return PREFIX_BYTES + Number(length);
}

/** Checks a header; `bytes` are the file's up to the header's end. */
export function parseHeader(source: string, bytes: Uint8Array): Header {
  const where = `bytes ${PREFIX_BYTES} to ${bytes.length - 1}`;
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes.subarray(PREFIX_BYTES)));
  } catch (cause) {
    throw damaged(source, where, `the header is no JSON: ${cause instanceof Error ? cause.message : ''}`, cause);
  }
  if (!isRecord(json)) throw damaged(source, where, 'the header must be a JSON object');

  const { __metadata__: metadata = {}, ...tensors } = json;
  if (!isRecord(metadata) || !Object.values(metadata).every((value) => typeof value === 'string')) {
    throw damaged(source, '__metadata__', 'it must be an object of strings');
  }
  const entries = Object.entries(tensors)
    .map(([name, value]) => parseEntry(source, name, value, bytes.length))
    .sort((a, b) => a.begin - b.begin || a.end - b.end);
  return {
    entries,
    metadata: new Map(Object.entries(metadata as Record<string, string>)),
    fileBytes: checkGapless(source, entries, bytes.length),
  };
}

function parseEntry(source: string, name: string, value: unknown, dataBegin: number): Entry {
  const where = `tensor '${name}'`;
  if (!isRecord(value)) throw damaged(source, where, `it is ${shown(value)}; it must be an object`);
  const { dtype, shape, data_offsets: offsets } = value;
  if (typeof dtype !== 'string' || !Object.hasOwn(BITS, dtype)) {
    throw damaged(source, where, `its dtype is ${shown(dtype)}; it must be one of ${Object.keys(BITS).join(', ')}`);
  }
  if (!isCounts(shape)) throw damaged(source, where, `its shape is ${shown(shape)}; it must be integers of at least 0`);
  if (!isCounts(offsets) || offsets.length !== 2 || offsets[0]! > offsets[1]!) {
    throw damaged(source, where, `its data_offsets are ${shown(offsets)}; they must be [begin, end]`);
  }
  const type = dtype as SafetensorsDType;
  const [begin, end] = offsets as [number, number];
  const bits = shape.reduce((product, extent) => product * extent, BITS[type]);
  if (bits !== (end - begin) * 8) {
    throw damaged(source, where, `${dtype} of shape ${shown(shape)} takes ${bits / 8} bytes, it has ${end - begin}`);
  }
  return { name, dtype: type, shape, begin: dataBegin + begin, end: dataBegin + end };
}

/** Refuses holes and overlaps, which the format forbids; returns where the last tensor ends. */
function checkGapless(source: string, entries: readonly Entry[], dataBegin: number): number {
  return entries.reduce((at, { name, begin, end }) => {
    if (begin !== at)
      throw damaged(source, `tensor '${name}'`, `it begins at byte ${begin}, the one before it ends at ${at}`);
    return end;
  }, dataBegin);
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const isCounts = (value: unknown): value is number[] =>
  Array.isArray(value) && value.every((count) => Number.isSafeInteger(count) && count >= 0);
