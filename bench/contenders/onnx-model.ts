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
  let rest = value;
  for (; rest > 127; rest = Math.floor(rest / 128)) bytes.push((rest % 128) | 128);
  return Uint8Array.from([...bytes, rest]);
}

const integer = (field: number, value: number): Bytes => concat([varint(field * 8), varint(value)]);
const message = (field: number, ...parts: Uint8Array[]): Bytes => {
  const body = concat(parts);
  return concat([varint(field * 8 + 2), varint(body.length), body]);
};
const text = (field: number, value: string): Bytes => message(field, utf8.encode(value));

const INT = 2;
const INTS = 7;
const FLOAT = 1;

const intsAttribute = (name: string, values: readonly number[]): Bytes =>
  message(5, text(1, name), ...values.map((value) => integer(8, value)), integer(20, INTS));
const intAttribute = (name: string, value: number): Bytes =>
  message(5, text(1, name), integer(3, value), integer(20, INT));

const valueInfo = (field: number, name: string, shape: readonly number[]): Bytes =>
  message(
    field,
    text(1, name),
    message(2, message(1, integer(1, FLOAT), message(2, ...shape.map((size) => message(1, integer(1, size)))))),
  );

/** An ONNX model that is one ConvTranspose node: input `x`, output `y`, the weight an initializer. */
export function convTransposeModel(problem: Problem): Bytes {
  const { layer, weight, weightShape, outputShape } = problem;
  const { stride, padding, outputPadding, dilation, kernelSize, groups } = layer;
  const node = message(
    1,
    text(1, 'x'),
    text(1, 'w'),
    text(2, 'y'),
    text(4, 'ConvTranspose'),
    intsAttribute('strides', stride),
    intsAttribute('pads', [...padding, ...padding]),
    intsAttribute('output_padding', outputPadding),
    intsAttribute('dilations', dilation),
    intsAttribute('kernel_shape', kernelSize),
    intAttribute('group', groups),
  );
  const initializer = message(
    5,
    ...weightShape.map((size) => integer(1, size)),
    integer(2, FLOAT),
    text(8, 'w'),
    message(9, new Uint8Array(weight.buffer, weight.byteOffset, weight.byteLength)),
  );
  const graph = message(
    7,
    node,
    text(2, 'conv-transpose'),
    initializer,
    valueInfo(11, 'x', layer.input),
    valueInfo(12, 'y', outputShape),
  );
  return concat([integer(1, 8), message(8, text(1, ''), integer(2, 13)), graph]);
}

/** A model of one multiplication: its session loads the runtime and makes the device. */
export const tinyModel = (): Bytes =>
  convTransposeModel({
    layer: {
      name: 'tiny',
      input: [1, 1, 1, 1],
      outChannels: 1,
      kernelSize: [1, 1],
      stride: [1, 1],
      padding: [0, 0],
      outputPadding: [0, 0],
      groups: 1,
      dilation: [1, 1],
    },
    outputShape: [1, 1, 1, 1],
    weightShape: [1, 1, 1, 1],
    input: new Float32Array(1),
    weight: new Float32Array(1),
    flops: 2,
  });
