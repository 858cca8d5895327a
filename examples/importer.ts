import { convTranspose2d, type HostTensor } from 'webgpu-conv-transpose2d';
import { fromTensorFlow } from 'webgpu-conv-transpose2d/frameworks';

/** tf.nn.conv2d_transpose(input, filter, [1, 6, 6, 16], strides=2, padding='SAME') */
export function enlarge(input: HostTensor, filter: HostTensor): Promise<HostTensor> {
  const options = fromTensorFlow({
    inputShape: input.shape, // [1, 3, 3, 8]
    filterShape: filter.shape, // [3, 3, 16, 8]: height, width, out, in
    outputShape: [1, 6, 6, 16],
    strides: 2,
    padding: 'SAME',
  });
  return convTranspose2d(input, filter, null, options);
}
