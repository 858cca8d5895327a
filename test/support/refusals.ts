/** The error cases of test/conformance as calls of ours: an importer's, or the layer's own. */
import { fromCaffe, fromKeras, fromMxnet, fromOnnx, fromTensorFlow, fromWebNN } from '../../src/frameworks/index.ts';
import { ConvTranspose2d, convTranspose2d, outputShape } from '../../src/index.ts';
import type { Device, HostTensor } from '../../src/types.ts';
import type { ErrorCase } from './conformance.ts';
import { integerTensor, tensorOf } from './tensors.ts';

type Attributes = Readonly<Record<string, unknown>>;

/** A call that a case makes; it throws or rejects, or gives the shape of the result. */
export interface Attempt {
  /** Whether a result is right, and its shape where the case tells it. */
  readonly accepted: boolean;
  readonly result?: readonly number[] | undefined;
  /** The attributes that a message may name: an importer's own. Left out: options and tensors of ours. */
  readonly names?: readonly string[];
  run(device: Device): Promise<readonly number[]>;
}

/** The call of a case, by the system that the case is from. Buffers of other devices are left to the tests of `encode`. */
export function attemptOf(entry: ErrorCase): Attempt | undefined {
  const { name, source, attrs } = entry;
  if (name.includes('another builder')) return undefined;
  const verdict = { accepted: entry.accepted === true, result: entry.result };
  const imported = (attributes: Attributes, importer: () => unknown): Attempt => ({
    ...verdict,
    names: Object.keys(attributes),
    // eslint-disable-next-line @typescript-eslint/require-await -- a throw becomes a rejection
    run: async () => {
      const options = importer() as Parameters<typeof outputShape>[2];
      const { inputShape, weightShape } = attributes as { inputShape: number[]; weightShape: number[] };
      return outputShape(inputShape, weightShape, options);
    },
  });
  const ours = (run: Attempt['run']): Attempt => ({ ...verdict, run });

  if (source.startsWith('pytorch')) return ours((device) => torch(name, attrs, device));
  if (source.startsWith('microsoft/onnxruntime')) {
    const own = Object.entries(attrs).filter(([key]) => !['input', 'weight', 'bias'].includes(key));
    const attributes = { inputShape: attrs['input'], weightShape: attrs['weight'], ...Object.fromEntries(own) };
    return imported(attributes, () => fromOnnx(attributes as unknown as Parameters<typeof fromOnnx>[0]));
  }
  if (source.startsWith('tensorflow/tfjs')) {
    if (name.includes('not a tensor')) return ours((device) => convolve({}, zeros([1, 1, 2, 2]), null, { device }));
    const attributes = tfjsAttributes(attrs);
    const attempt = imported(attributes, () =>
      fromTensorFlow(attributes as unknown as Parameters<typeof fromTensorFlow>[0]),
    );
    // TensorFlow refuses what TensorFlow.js lets pass here, and so do we.
    return { ...attempt, accepted: false };
  }
  if (source.startsWith('tensorflow/tensorflow')) {
    const attributes = tensorFlowAttributes(attrs);
    return imported(attributes, () => fromTensorFlow(attributes as unknown as Parameters<typeof fromTensorFlow>[0]));
  }
  if (source.startsWith('web-platform-tests') || source.startsWith('webmachinelearning'))
    return webnn(attrs, imported, ours);
  if (source.startsWith('keras-team')) {
    const { kernel_size = 3, filters = 1, output_padding, dilation_rate, ...rest } = attrs;
    const [height, width] = typeof kernel_size === 'number' ? [kernel_size, kernel_size] : (kernel_size as number[]);
    const attributes = {
      inputShape: [1, 4, 4, 1],
      kernelShape: [height, width, filters, 1],
      padding: 'valid',
      outputPadding: output_padding,
      dilationRate: dilation_rate,
      ...rest,
    };
    return imported(attributes, () => fromKeras(attributes as unknown as Parameters<typeof fromKeras>[0]));
  }
  if (source.startsWith('apache/mxnet')) {
    const attributes = { inputShape: [1, 2, 3, 3], kernel: [3, 3], num_filter: 2, ...attrs };
    return imported(attributes, () => fromMxnet(attributes));
  }
  if (source.startsWith('BVLC/caffe')) {
    if (name.startsWith('weight blob')) {
      return ours(async (device) => {
        const layer = new ConvTranspose2d(2, 3, 3, { device, bias: false });
        layer.loadStateDict({ weight: zeros([2, 3, 3, 2]) });
        return (await layer.forward(zeros([1, 2, 3, 3]))).shape;
      });
    }
    const attributes = { num_output: 1, kernel_size: 3, ...attrs };
    return imported(attributes, () => fromCaffe(attributes));
  }
  throw new Error(`no call is known for '${name}' from ${source}`);
}

/** PyTorch's module, or its function where a case gives the weight's shape. */
async function torch(name: string, attrs: Attributes, device: Device): Promise<readonly number[]> {
  if (name === 'input None') return convolve(null, zeros([1, 1, 3, 3]), null, { device });
  if (name.startsWith('dtype mismatch')) {
    // There are no doubles here; another dtype than the input's is the same mistake.
    return convolve(zeros([1, 1, 4, 4]), tensorOf([1, 1, 3, 3], new Float32Array(9), 'float16'), null, { device });
  }
  const {
    kernel = 3,
    stride,
    padding,
    output_padding,
    output_size,
    dilation,
    groups,
    padding_mode,
    weight,
    bias,
  } = attrs;
  const options = Object.fromEntries(
    Object.entries({
      stride,
      padding,
      outputPadding: output_padding,
      dilation,
      groups,
      paddingMode: padding_mode,
    }).filter(([, value]) => value !== undefined),
  );
  if (weight !== undefined) {
    const shape = weight as number[];
    return convolve(zeros([1, shape[0]!, 4, 4]), zeros(shape), zeros(bias as number[]), { ...options, device });
  }
  const { in_channels = 1, out_channels = 1, input = [1, 1, 4, 4] } = attrs;
  const layer = new ConvTranspose2d(in_channels as number, out_channels as number, kernel as number, {
    ...options,
    device,
  });
  // PyTorch drops the leading entries of a longer output_size; ours is (height, width).
  const outputSize = (output_size as number[] | undefined)?.slice(-2) as [number, number] | undefined;
  const { shape } = await layer.forward(zeros(input as number[]), { outputSize });
  return shape;
}

function tfjsAttributes({ x, filter, outputShape, pad = 'same', stride = 1, ...rest }: Attributes): Attributes {
  const padding =
    typeof pad === 'string'
      ? pad.toUpperCase()
      : typeof pad === 'number'
        ? [
            [0, 0],
            [pad, pad],
            [pad, pad],
            [0, 0],
          ]
        : pad;
  return {
    inputShape: x ?? [1, 2, 2, 1],
    filterShape: filter ?? [2, 2, 1, 1],
    outputShape: outputShape ?? [1, 2, 2, 1],
    strides: stride,
    padding,
    ...rest,
  };
}

function tensorFlowAttributes({ input, filters, output_shape, strides = 1 }: Attributes): Attributes {
  const inputShape = input as number[];
  const filterShape = (filters as number[] | undefined) ?? [3, 3, 1, inputShape.at(-1)];
  const outputShape = output_shape ?? [...inputShape.slice(0, -1), filterShape[2]];
  return { inputShape, filterShape, outputShape, strides, padding: 'SAME' };
}

function webnn(
  attrs: Attributes,
  imported: (attributes: Attributes, importer: () => unknown) => Attempt,
  ours: (run: Attempt['run']) => Attempt,
): Attempt {
  interface Operand {
    readonly shape: readonly number[];
    readonly dataType?: string;
  }
  const operand = (value: unknown, otherwise: readonly number[]): Operand =>
    Array.isArray(value) ? { shape: value as number[] } : ((value as Operand | undefined) ?? { shape: otherwise });
  const { bias, ...options } = (attrs['options'] ?? {}) as Attributes;
  const input = operand(attrs['input'], [1, 1, 3, 3]);
  const filter = operand(attrs['filter'], [1, (attrs['output_channels'] as number | undefined) ?? 1, 2, 2]);
  const biasShape = attrs['bias'] ?? (bias as Operand | undefined)?.shape;
  const attributes = { inputShape: input.shape, filterShape: filter.shape, ...options };
  const importer = (): ReturnType<typeof fromWebNN> => fromWebNN(attributes);
  if (biasShape !== undefined) {
    return ours((device) =>
      convolve(zeros(input.shape), zeros(filter.shape), zeros(biasShape as number[]), { ...importer(), device }),
    );
  }
  if (filter.dataType === 'int32') {
    const weight = { shape: filter.shape, data: new Int32Array(4) };
    return ours((device) => convolve(zeros(input.shape), weight, null, { ...importer(), device }));
  }
  return imported(attributes, importer);
}

const zeros = (shape: readonly number[]): HostTensor => integerTensor(shape, 0, 0);

async function convolve(
  input: unknown,
  weight: unknown,
  bias: HostTensor | null,
  options: Parameters<typeof convTranspose2d>[3],
): Promise<readonly number[]> {
  const { shape } = await convTranspose2d(input as HostTensor, weight as HostTensor, bias, options);
  return shape;
}
