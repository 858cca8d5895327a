/** Writes .safetensors files, well-formed or not, as their specification says: nothing of the reader's. */

export interface FileTensor {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: Uint8Array;
}

/** A file of a header, as text or as what JSON makes of it, and of the tensors' bytes. */
export function fileOf(header: string | object, data: Uint8Array = new Uint8Array(0)): Uint8Array<ArrayBuffer> {
  const json = new TextEncoder().encode(typeof header === 'string' ? header : JSON.stringify(header));
  const file = new Uint8Array(8 + json.length + data.length);
  new DataView(file.buffer).setBigUint64(0, BigInt(json.length), true);
  file.set(json, 8);
  file.set(data, 8 + json.length);
  return file;
}

/** A well-formed file of these tensors, in this order, its header padded with spaces as Python's writer does. */
export function safetensors(
  tensors: readonly FileTensor[],
  metadata?: Record<string, string>,
): Uint8Array<ArrayBuffer> {
  const header: Record<string, unknown> = metadata === undefined ? {} : { __metadata__: metadata };
  let at = 0;
  for (const { name, dtype, shape, bytes } of tensors) {
    header[name] = { dtype, shape, data_offsets: [at, (at += bytes.length)] };
  }
  const data = new Uint8Array(at);
  at = 0;
  for (const { bytes } of tensors) {
    data.set(bytes, at);
    at += bytes.length;
  }
  const json = JSON.stringify(header);
  return fileOf(json + ' '.repeat((8 - (new TextEncoder().encode(json).length % 8)) % 8), data);
}
