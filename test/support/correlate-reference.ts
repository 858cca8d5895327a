// The second float64 reference, by the other definition: insert zeros between the input's pixels, pad, flip the kernel,
// correlate. It shares nothing with the first, not even how options are read; the two must agree exactly on integers.

export interface Operand {
  readonly shape: readonly number[];
  readonly data: ArrayLike<number>;
}

export interface CorrelateOptions {
  readonly stride?: number | readonly number[] | undefined;
  readonly padding?: number | readonly number[] | undefined;
  readonly outputPadding?: number | readonly number[] | undefined;
  readonly outputSize?: number | readonly number[] | undefined;
  readonly dilation?: number | readonly number[] | undefined;
  readonly groups?: number | undefined;
  readonly layout?: 'NCHW' | 'NHWC' | undefined;
  readonly weightLayout?: 'IOHW' | 'HWOI' | 'OHWI' | undefined;
}

/** One spatial axis: the padding of the zero-inserted input, and how many outputs the correlation gives. */
interface Line {
  readonly stride: number;
  readonly dilation: number;
  readonly kernel: number;
  readonly inserted: number;
  readonly before: number;
  readonly outputs: number;
}

export function correlateReference(
  input: Operand,
  weight: Operand,
  bias: Operand | null | undefined,
  options: CorrelateOptions = {},
): { shape: number[]; data: Float64Array } {
  const batched = input.shape.length === 4;
  const inputAxes = (options.layout ?? 'NCHW').slice(batched ? 0 : 1);
  const weightAxes = options.weightLayout ?? 'IOHW';
  const sizeOf = (axis: string): number => input.shape[inputAxes.indexOf(axis)] ?? 1;
  const kernelOf = (axis: string): number => weight.shape[weightAxes.indexOf(axis)]!;
  const groups = options.groups ?? 1;
  const [batch, channels] = [sizeOf('N'), sizeOf('C')];
  const perGroup = { in: channels / groups, out: kernelOf('O') };

  const line = (axis: 'H' | 'W', at: number): Line => {
    const [stride, dilation] = [pick(options.stride, at, 1), pick(options.dilation, at, 1)];
    const kernel = kernelOf(axis);
    const inserted = stride * (sizeOf(axis) - 1) + 1;
    const begin = pick(options.padding, at, 0);
    const fourSided = typeof options.padding === 'object' && options.padding.length === 4;
    const end = fourSided ? pick(options.padding, at + 2, 0) : begin;
    const reach = dilation * (kernel - 1);
    // Padded so that the first output sees the first pixel with the last tap; cropping narrows that, or passes it.
    const before = reach - begin;
    const after = reach - end + pick(options.outputPadding, at, 0);
    const outputs =
      options.outputSize === undefined ? inserted + before + after - reach : pick(options.outputSize, at, 0);
    return { stride, dilation, kernel, inserted, before, outputs };
  };
  const [rows, columns] = [line('H', 0), line('W', 1)];

  // A pixel of the zero-inserted, padded input.
  const [stepN, stepC, stepH, stepW] = steps(inputAxes, input.shape, 'NCHW');
  const pixel = (n: number, c: number, y: number, x: number): number => {
    const [iy, ix] = [y - rows.before, x - columns.before];
    if (iy < 0 || ix < 0 || iy >= rows.inserted || ix >= columns.inserted) return 0;
    if (iy % rows.stride !== 0 || ix % columns.stride !== 0) return 0;
    return input.data[n * stepN! + c * stepC! + (iy / rows.stride) * stepH! + (ix / columns.stride) * stepW!]!;
  };
  const [stepI, stepO, stepKh, stepKw] = steps(weightAxes, weight.shape, 'IOHW');
  const flipped = (i: number, o: number, ky: number, kx: number): number =>
    weight.data[i * stepI! + o * stepO! + (rows.kernel - 1 - ky) * stepKh! + (columns.kernel - 1 - kx) * stepKw!]!;

  const sizes: Readonly<Record<string, number>> = {
    N: batch,
    C: perGroup.out * groups,
    H: rows.outputs,
    W: columns.outputs,
  };
  const shape = Array.from(inputAxes, (axis) => sizes[axis]!);
  const data = new Float64Array(shape.reduce((product, size) => product * size, 1));
  const [outN, outC, outH, outW] = steps(inputAxes, shape, 'NCHW');
  for (let n = 0; n < batch; n++) {
    for (let o = 0; o < perGroup.out * groups; o++) {
      const first = Math.floor(o / perGroup.out) * perGroup.in;
      for (let y = 0; y < rows.outputs; y++) {
        for (let x = 0; x < columns.outputs; x++) {
          let sum = bias ? bias.data[o]! : 0;
          for (let i = first; i < first + perGroup.in; i++) {
            for (let ky = 0; ky < rows.kernel; ky++) {
              for (let kx = 0; kx < columns.kernel; kx++) {
                sum +=
                  pixel(n, i, y + ky * rows.dilation, x + kx * columns.dilation) * flipped(i, o % perGroup.out, ky, kx);
              }
            }
          }
          data[n * outN! + o * outC! + y * outH! + x * outW!] = sum;
        }
      }
    }
  }
  return { shape, data };
}

/**
 * The gradients by the other definition: the input's is the strided correlation of the output's gradient with the kernel, not
 * flipped; the weight's correlates the output's gradient with the zero-inserted input, tap by tap. Each is a gather, where
 * the first reference scatters.
 */
export function correlateGradients(
  gradOutput: Operand,
  input: Operand,
  weight: Operand,
  options: CorrelateOptions = {},
): { gradInput: Float64Array; gradWeight: Float64Array; gradBias: Float64Array } {
  const inputAxes = (options.layout ?? 'NCHW').slice(input.shape.length === 4 ? 0 : 1);
  const weightAxes = options.weightLayout ?? 'IOHW';
  const groups = options.groups ?? 1;
  const at = (shape: readonly number[], axis: string): number => shape[inputAxes.indexOf(axis)] ?? 1;
  const [batch, height, width] = ['N', 'H', 'W'].map((axis) => at(input.shape, axis)) as [number, number, number];
  const [outHeight, outWidth] = ['H', 'W'].map((axis) => at(gradOutput.shape, axis)) as [number, number];
  const [ins, outs, kh, kw] = Array.from('IOHW', (axis) => weight.shape[weightAxes.indexOf(axis)]!) as [
    number,
    number,
    number,
    number,
  ];
  const [strideH, strideW] = [pick(options.stride, 0, 1), pick(options.stride, 1, 1)];
  const [dilationH, dilationW] = [pick(options.dilation, 0, 1), pick(options.dilation, 1, 1)];
  const [top, left] = [pick(options.padding, 0, 0), pick(options.padding, 1, 0)];
  const index = (strides: number[], ...position: number[]): number =>
    position.reduce((sum, coordinate, axis) => sum + coordinate * strides[axis]!, 0);
  const xStrides = steps(inputAxes, input.shape, 'NCHW');
  const gStrides = steps(inputAxes, gradOutput.shape, 'NCHW');
  const wStrides = steps(weightAxes, weight.shape, 'IOHW');
  /** The output's gradient, with zeros around it. */
  const around = (n: number, c: number, y: number, x: number): number =>
    y < 0 || x < 0 || y >= outHeight || x >= outWidth ? 0 : gradOutput.data[index(gStrides, n, c, y, x)]!;

  const gradInput = new Float64Array(input.data.length);
  const gradWeight = new Float64Array(weight.data.length);
  const gradBias = new Float64Array(outs * groups);
  for (let i = 0; i < ins; i++) {
    const first = Math.floor(i / (ins / groups)) * outs;
    for (let n = 0; n < batch; n++) {
      for (let y = 0; y < height; y++) {
        for (let x = 0; x < width; x++) {
          let sum = 0;
          for (let o = 0; o < outs; o++) {
            for (let ky = 0; ky < kh; ky++) {
              for (let kx = 0; kx < kw; kx++) {
                sum +=
                  around(n, first + o, y * strideH + ky * dilationH - top, x * strideW + kx * dilationW - left) *
                  weight.data[index(wStrides, i, o, ky, kx)]!;
              }
            }
          }
          gradInput[index(xStrides, n, i, y, x)] = sum;
        }
      }
    }
    for (let o = 0; o < outs; o++) {
      for (let ky = 0; ky < kh; ky++) {
        for (let kx = 0; kx < kw; kx++) {
          let sum = 0;
          for (let n = 0; n < batch; n++) {
            for (let y = 0; y < outHeight; y++) {
              for (let x = 0; x < outWidth; x++) {
                const [iy, ix] = [(y + top - ky * dilationH) / strideH, (x + left - kx * dilationW) / strideW];
                if (!Number.isInteger(iy) || !Number.isInteger(ix)) continue;
                if (iy < 0 || ix < 0 || iy >= height || ix >= width) continue;
                sum +=
                  gradOutput.data[index(gStrides, n, first + o, y, x)]! * input.data[index(xStrides, n, i, iy, ix)]!;
              }
            }
          }
          gradWeight[index(wStrides, i, o, ky, kx)] = sum;
        }
      }
    }
  }
  for (let c = 0; c < outs * groups; c++) {
    for (let n = 0; n < batch; n++) {
      for (let y = 0; y < outHeight; y++) {
        for (let x = 0; x < outWidth; x++) gradBias[c]! += gradOutput.data[index(gStrides, n, c, y, x)]!;
      }
    }
  }
  return { gradInput, gradWeight, gradBias };
}

/** Elements between neighbours along each of the wanted axes; 0 along one that is not there. */
function steps(axes: string, shape: readonly number[], wanted: string): number[] {
  return Array.from(wanted, (axis) => {
    const at = axes.indexOf(axis);
    return at < 0 ? 0 : shape.slice(at + 1).reduce((product, size) => product * size, 1);
  });
}

function pick(value: number | readonly number[] | undefined, at: number, otherwise: number): number {
  if (value === undefined) return otherwise;
  return typeof value === 'number' ? value : value[at]!;
}
