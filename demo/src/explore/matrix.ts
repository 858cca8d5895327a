/** The layer as matrices: one sparse matrix for all of it, or a small product whose numbers are then added in place. */
import { AXES, outputSize, type Layer, type Size } from './layer.ts';
import type { Numbers } from './numbers.ts';
import { gather, landing } from './sums.ts';

export interface Matrix {
  readonly rows: number;
  readonly columns: number;
  /** Row-major. */
  readonly values: Float64Array;
}

/** Where `values` is 0 for want of a connection, not of a weight: `connected` tells. */
export interface SparseMatrix extends Matrix {
  readonly connected: Uint8Array;
}

/** One row per output, one column per input, both in reading order: output = matrix · input. */
export function layerMatrix(layer: Layer, numbers: Numbers): SparseMatrix {
  const [height, width] = outputSize(layer);
  const [rows, columns] = [height * width, layer.input[0] * layer.input[1]];
  const values = new Float64Array(rows * columns);
  const connected = new Uint8Array(rows * columns);
  for (let row = 0; row < rows; row++) {
    const { terms } = gather(layer, numbers, [Math.floor(row / width), row % width]);
    for (const { inside, input, weight } of terms) {
      if (!inside) continue;
      const at = row * columns + input[0] * layer.input[1] + input[1];
      values[at] = weight;
      connected[at] = 1;
    }
  }
  return { rows, columns, values, connected };
}

/** The matrix of the ordinary convolution that leads back from the output's size to the input's. */
export function transpose({ rows, columns, values, connected }: SparseMatrix): SparseMatrix {
  const turned = { values: new Float64Array(values.length), connected: new Uint8Array(values.length) };
  for (let row = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) {
      turned.values[column * rows + row] = values[row * columns + column]!;
      turned.connected[column * rows + row] = connected[row * columns + column]!;
    }
  }
  return { rows: columns, columns: rows, ...turned };
}

/** The kernel as a column times the input as a row: every product that there is, one row per tap. */
export interface Columns extends Matrix {
  /** For each product its output in reading order, or −1 where padding crops it away. */
  readonly landings: Int32Array;
}

export function productColumns(layer: Layer, numbers: Numbers): Columns {
  const [rows, columns] = [numbers.kernel.length, numbers.input.length];
  const values = new Float64Array(rows * columns);
  const landings = new Int32Array(rows * columns);
  const size = outputSize(layer);
  for (let row = 0; row < rows; row++) {
    const tap: Size = [Math.floor(row / layer.kernel[1]), row % layer.kernel[1]];
    for (let column = 0; column < columns; column++) {
      const input: Size = [Math.floor(column / layer.input[1]), column % layer.input[1]];
      const place = landing(layer, input, tap);
      const [y, x] = [place[0] - layer.padding[0], place[1] - layer.padding[1]];
      const kept = AXES.every((axis) => [y, x][axis]! >= 0 && [y, x][axis]! < size[axis]);
      values[row * columns + column] = numbers.kernel[row]! * numbers.input[column]!;
      landings[row * columns + column] = kept ? y * size[1] + x : -1;
    }
  }
  return { rows, columns, values, landings };
}

/** col2im: every product is added where it lands. */
export function addInPlace({ values, landings }: Columns, outputLength: number): Float64Array {
  const output = new Float64Array(outputLength);
  for (const [at, landing] of landings.entries()) if (landing >= 0) output[landing]! += values[at]!;
  return output;
}
