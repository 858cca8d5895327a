import { invalid, shown } from '../invalid.ts';
import { ofType, oneOf } from '../options.ts';
import { allocate, float16Tensor, tensorOf, toFloat32Array } from '../tensors.ts';
import type { DType, HostTensor, StateDict } from '../types.ts';
import type { Entry, Header, SafetensorsDType } from './header.ts';

/** A tensor's entry in the file's header. */
export interface CheckpointTensor {
  /** As the file names it: 'F32', 'BF16', … */
  readonly dtype: SafetensorsDType;
  readonly shape: readonly number[];
}

/** A `.safetensors` file that was read: what is in it, and its tensors as layers load them. */
export class Checkpoint {
  /** The file's own metadata, such as PyTorch's `format: 'pt'`. */
  readonly metadata: ReadonlyMap<string, string>;
  /** All tensors by name, in the order of the file's bytes. */
  readonly tensors: ReadonlyMap<string, CheckpointTensor>;
  readonly #source: string;
  readonly #entries: ReadonlyMap<string, Entry>;
  readonly #bytes: Uint8Array;

  /** @internal */
  constructor(source: string, header: Header, bytes: Uint8Array) {
    this.#source = source;
    this.#bytes = bytes;
    this.#entries = new Map(header.entries.map((entry) => [entry.name, entry]));
    this.metadata = header.metadata;
    this.tensors = new Map(header.entries.map(({ name, dtype, shape }) => [name, { dtype, shape }]));
  }

  /**
   * A copy of a tensor. float16 and bfloat16 are converted to float32 exactly; float32 and bfloat16 are rounded to float16, to the
   * nearest, ties to even.
   * @param dtype that of the layer; 'float32' when left out
   * @throws ConvTranspose2dError INVALID_ARGUMENT: no such tensor, or its elements are not F32, F16 or BF16
   */
  tensor(name: string, dtype: DType = 'float32'): HostTensor {
    oneOf('dtype', dtype, ['float32', 'float16']);
    const entry = this.#entries.get(name);
    if (entry === undefined) {
      throw invalid('name', name, `${this.#source} has the tensors ${shown([...this.#entries.keys()])}`);
    }
    if (!isReadable(entry.dtype)) {
      throw invalid('name', name, `in ${this.#source} its elements are ${entry.dtype}; F32, F16 and BF16 can be read`);
    }
    const shape = [...entry.shape];
    const bytes = allocate(entry.end - entry.begin);
    new Uint8Array(bytes).set(this.#bytes.subarray(entry.begin, entry.end));
    if (dtype === 'float16' && entry.dtype === 'F16') return float16Tensor(shape, bytes);
    return tensorOf(shape, widen[entry.dtype](bytes), dtype);
  }

  /**
   * A layer's parameters, for `loadStateDict`: `prefix.weight`, and `prefix.bias` where the file has it.
   * @param prefix the layer's name in the model, as in 'decoder.3'; '' for a file of one layer alone
   * @param dtype that of the layer; 'float32' when left out
   * @throws ConvTranspose2dError INVALID_ARGUMENT, as `tensor` does
   */
  stateDict(prefix: string, dtype: DType = 'float32'): StateDict {
    ofType('prefix', prefix, ['string', "a string: the layer's name in the model, or ''"]);
    const begin = prefix === '' ? '' : `${prefix}.`;
    const weight = this.tensor(`${begin}weight`, dtype);
    return this.tensors.has(`${begin}bias`) ? { weight, bias: this.tensor(`${begin}bias`, dtype) } : { weight };
  }
}

/** Elements as float32, none rounded. */
const widen = {
  F32: (bytes: ArrayBuffer): Float32Array => new Float32Array(bytes),
  F16: (bytes: ArrayBuffer): Float32Array =>
    toFloat32Array({ shape: [], data: new Uint16Array(bytes), dtype: 'float16' }),
  BF16: (bytes: ArrayBuffer): Float32Array => {
    const bits = new Uint16Array(bytes);
    const words = new Uint32Array(allocate(4 * bits.length));
    // A bfloat16 is the upper half of a float32.
    for (let i = 0; i < bits.length; i++) words[i] = bits[i]! << 16;
    return new Float32Array(words.buffer);
  },
};
const isReadable = (dtype: SafetensorsDType): dtype is keyof typeof widen => dtype in widen;
