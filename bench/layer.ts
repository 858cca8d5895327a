/** A layer to measure. Pairs are (height, width). */
export interface Layer {
  readonly name: string;
  readonly from?: string;
  readonly input: readonly [batch: number, channels: number, height: number, width: number];
  readonly outChannels: number;
  readonly kernelSize: readonly [number, number];
  readonly stride: readonly [number, number];
  readonly padding: readonly [number, number];
  readonly outputPadding: readonly [number, number];
  readonly groups: number;
  readonly dilation: readonly [number, number];
}

/** A layer with its data, all NCHW and IOHW, without bias: TensorFlow.js would need a second pass for it. */
export interface Problem {
  readonly layer: Layer;
  readonly outputShape: readonly [number, number, number, number];
  readonly weightShape: readonly [number, number, number, number];
  readonly input: Float32Array<ArrayBuffer>;
  readonly weight: Float32Array<ArrayBuffer>;
  readonly flops: number;
}

export const elements = (shape: readonly number[]): number => shape.reduce((product, size) => product * size, 1);

export function outputShapeOf(layer: Layer): [number, number, number, number] {
  const size = (axis: 0 | 1): number =>
    (layer.input[axis === 0 ? 2 : 3] - 1) * layer.stride[axis] -
    2 * layer.padding[axis] +
    layer.dilation[axis] * (layer.kernelSize[axis] - 1) +
    layer.outputPadding[axis] +
    1;
  return [layer.input[0], layer.outChannels, size(0), size(1)];
}

/** What of a layer the library takes as options. */
export const optionsOf = (
  layer: Layer,
): Pick<Layer, 'stride' | 'padding' | 'outputPadding' | 'groups' | 'dilation'> => ({
  stride: layer.stride,
  padding: layer.padding,
  outputPadding: layer.outputPadding,
  groups: layer.groups,
  dilation: layer.dilation,
});

/** Two operations for each tap that meets a real input and a real output; padding, inserted zeros and crops are not work. */
export function usefulFlops(layer: Layer): number {
  const output = outputShapeOf(layer);
  const pairs = (axis: 0 | 1): number => {
    let count = 0;
    for (let i = 0; i < layer.input[axis === 0 ? 2 : 3]; i++) {
      for (let k = 0; k < layer.kernelSize[axis]; k++) {
        const o = i * layer.stride[axis] - layer.padding[axis] + k * layer.dilation[axis];
        if (o >= 0 && o < output[axis === 0 ? 2 : 3]) count++;
      }
    }
    return count;
  };
  return 2 * layer.input[0] * layer.input[1] * (layer.outChannels / layer.groups) * pairs(0) * pairs(1);
}

/** Uniform in [-1, 1), the same on every machine; stops now and then for callers that share their thread. */
function* noise(length: number, seed: number): Generator<void, Float32Array<ArrayBuffer>> {
  const data = new Float32Array(length);
  let state = seed | 1;
  for (let i = 0; i < length; i++) {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    data[i] = state / 2 ** 31;
    if (i % 2 ** 18 === 0) yield;
  }
  return data;
}

/** A layer with its data, made piece by piece. */
export function* makingProblem(layer: Layer): Generator<void, Problem> {
  const weightShape: [number, number, number, number] = [
    layer.input[1],
    layer.outChannels / layer.groups,
    ...layer.kernelSize,
  ];
  return {
    layer,
    outputShape: outputShapeOf(layer),
    weightShape,
    input: yield* noise(elements(layer.input), 0x1234567),
    weight: yield* noise(elements(weightShape), 0x7654321),
    flops: usefulFlops(layer),
  };
}

export function makeProblem(layer: Layer): Problem {
  const making = makingProblem(layer);
  for (;;) {
    const { done, value } = making.next();
    if (done) return value;
  }
}
