/** An ONNX model of one ConvTranspose node, written as protobuf by hand: inputs x, w, output y, opset 11. */

type Attribute = string | number | readonly number[];

export function convTransposeModel(attributes: Readonly<Record<string, Attribute | undefined>>): Uint8Array {
  const given = Object.entries(attributes).filter((entry): entry is [string, Attribute] => entry[1] !== undefined);
  const node = [
    ...text(1, 'x'),
    ...text(1, 'w'),
    ...text(2, 'y'),
    ...text(4, 'ConvTranspose'),
    ...given.flatMap(([name, value]) => bytes(5, attribute(name, value))),
  ];
  const graph = [...bytes(1, node), ...text(2, 'graph'), ...tensor(11, 'x'), ...tensor(11, 'w'), ...tensor(12, 'y')];
  const opset = [...text(1, ''), ...integer(2, 11)];
  return Uint8Array.from([...integer(1, 8), ...bytes(7, graph), ...bytes(8, opset)]);
}

function attribute(name: string, value: Attribute): number[] {
  if (typeof value === 'string') return [...text(1, name), ...text(4, value), ...integer(20, 3)];
  if (typeof value === 'number') return [...text(1, name), ...integer(3, value), ...integer(20, 2)];
  return [...text(1, name), ...value.flatMap((entry) => integer(8, entry)), ...integer(20, 7)];
}

/** A float32 tensor of rank 4, its sizes named but unknown. */
function tensor(field: number, name: string): number[] {
  const sizes = [0, 1, 2, 3].flatMap((axis) => bytes(1, text(2, `${name}${axis}`)));
  return bytes(field, [...text(1, name), ...bytes(2, bytes(1, [...integer(1, 1), ...bytes(2, sizes)]))]);
}

const text = (field: number, value: string): number[] => bytes(field, [...new TextEncoder().encode(value)]);
const integer = (field: number, value: number): number[] => [...varint(field << 3), ...varint(value)];
const bytes = (field: number, value: readonly number[]): number[] => [
  ...varint((field << 3) | 2),
  ...varint(value.length),
  ...value,
];

function varint(value: number): number[] {
  let rest = BigInt.asUintN(64, BigInt(value));
  const groups: number[] = [];
  do {
    groups.push(Number(rest & 127n) | (rest > 127n ? 128 : 0));
    rest >>= 7n;
  } while (rest > 0n);
  return groups;
}
