import type { Problem } from '../layer.ts';

// Protocol buffers, as much as an ONNX model of one node needs: varints and length-delimited fields.

type Bytes = Uint8Array<ArrayBuffer>;
const utf8 = new TextEncoder();

function concat(parts: readonly Uint8Array[]): Bytes {
  const all = new Uint8Array(parts.reduce((length, part) => length + part.length, 0));
  let at = 0;
  for (const part of parts) {
    all.set(part, at);
    at += part.length;
  }
  return all;
}

function varint(value: number): Bytes {
  const bytes: number[] = [];
  let rest = BigInt.asUintN(64, BigInt(value));
  for (; rest > 127n; rest >>= 7n) bytes.push(Number(rest & 127n) | 128);
  return Uint8Array.from([...bytes, Number(rest)]);
}

const integer = (field: number, value: number): Bytes => concat([varint(field * 8), varint(value)]);
const message = (field: number, ...parts: Uint8Array[]): Bytes => {
  const body = concat(parts);
  return concat([varint(field * 8 + 2), varint(body.length), body]);
};
const text = (field: number, value: string): Bytes => message(field, utf8.encode(value));

const FLOAT = 1;
const TYPES = { integer: 2, string: 3, integers: 7 };

type Attribute = string | number | readonly number[];

function attribute(name: string, value: Attribute): Bytes {
  if (typeof value === 'string') return message(5, text(1, name), text(4, value), integer(20, TYPES.string));
  if (typeof value === 'number') return message(5, text(1, name), integer(3, value), integer(20, TYPES.integer));
  return message(5, text(1, name), ...value.map((entry) => integer(8, entry)), integer(20, TYPES.integers));
}

/** A float32 tensor of rank 4; without a shape its sizes are unknown. */
function valueInfo(
  field: number,
  name: string,
  shape: readonly (number | undefined)[] = Array(4).fill(undefined),
): Bytes {
  const sizes = shape.map((size) => (size === undefined ? message(1) : message(1, integer(1, size))));
  return message(field, text(1, name), message(2, message(1, integer(1, FLOAT), message(2, ...sizes))));
}

/** The shapes of input and output, and the weight: those of a model that is for one problem alone. */
type Tensors = Pick<Problem, 'outputShape' | 'weightShape' | 'weight'> & { readonly inputShape: readonly number[] };

/** An ONNX model of one ConvTranspose node, from `x` and `w` to `y`; `w` is an initializer where tensors are given. */
export function convTransposeModel(
  attributes: Readonly<Record<string, Attribute | undefined>>,
  tensors?: Tensors,
): Bytes {
  const given = Object.entries(attributes).filter((entry): entry is [string, Attribute] => entry[1] !== undefined);
  const names = [text(1, 'x'), text(1, 'w'), text(2, 'y'), text(4, 'ConvTranspose')];
  const node = message(1, ...names, ...given.map(([name, value]) => attribute(name, value)));
  const weight = tensors === undefined ? valueInfo(11, 'w') : initializer('w', tensors.weightShape, tensors.weight);
  const [x, y] = [valueInfo(11, 'x', tensors?.inputShape), valueInfo(12, 'y', tensors?.outputShape)];
  const graph = message(7, node, text(2, 'conv-transpose'), x, weight, y);
  return concat([integer(1, 8), message(8, text(1, ''), integer(2, 13)), graph]);
}

function initializer(name: string, shape: readonly number[], { buffer, byteOffset, byteLength }: Float32Array): Bytes {
  const sizes = shape.map((size) => integer(1, size));
  return message(
    5,
    ...sizes,
    integer(2, FLOAT),
    text(8, name),
    message(9, new Uint8Array(buffer, byteOffset, byteLength)),
  );
}

/** The model of a benchmark's problem. */
export function problemModel({ layer, ...tensors }: Problem): Bytes {
  const { input, stride, padding, outputPadding, dilation, kernelSize, groups } = layer;
  const attributes = {
    strides: stride,
    pads: [...padding, ...padding],
    output_padding: outputPadding,
    dilations: dilation,
    kernel_shape: kernelSize,
    group: groups,
  };
  return convTransposeModel(attributes, { ...tensors, inputShape: input });
}

/** A model of one multiplication: its session loads the runtime and makes the device. */
export const tinyModel = (): Bytes =>
  convTransposeModel(
    {},
    {
      ...{ inputShape: [1, 1, 1, 1], outputShape: [1, 1, 1, 1], weightShape: [1, 1, 1, 1] },
      weight: new Float32Array(1),
    },
  );
