import { convTranspose2d, convTranspose2dBackward, type HostTensor } from 'webgpu-conv-transpose2d';

const options = { stride: 2, padding: 1 };

/** The weight after one step down the gradient of the squared error, Σ(output − target)² / 2. */
export async function step(
  input: HostTensor,
  weight: HostTensor,
  target: HostTensor,
  rate: number,
): Promise<HostTensor> {
  const { shape, data } = await convTranspose2d(input, weight, null, options);
  const gradOutput = { shape, data: Float32Array.from(data, (value, i) => value - target.data[i]!) };
  const { gradWeight } = await convTranspose2dBackward(gradOutput, input, weight, options);
  const stepped = Float32Array.from(weight.data, (value, i) => value - rate * gradWeight.data[i]!);
  return { shape: weight.shape, data: stepped };
}
