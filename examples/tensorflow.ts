import * as tf from '@tensorflow/tfjs';
import '@tensorflow/tfjs-backend-webgpu';
import { registerConvTranspose2d } from 'webgpu-conv-transpose2d/tfjs';

/** Images of 32 × 32 out of features of 8 × 8, by a model as TensorFlow.js's users write it. */
export async function decode(features: tf.Tensor4D): Promise<tf.TypedArray> {
  await tf.setBackend('webgpu');
  const unregister = registerConvTranspose2d(tf);

  const same = { strides: 2, padding: 'same' } as const;
  const model = tf.sequential({
    layers: [
      tf.layers.conv2dTranspose({ ...same, inputShape: [8, 8, 16], filters: 8, kernelSize: 4, activation: 'relu' }),
      tf.layers.conv2dTranspose({ ...same, filters: 3, kernelSize: 4, activation: 'sigmoid' }),
    ],
  });
  const images = model.predict(features) as tf.Tensor;
  const values = await images.data();

  images.dispose();
  model.dispose();
  unregister(); // or leave it registered as long as the page lives
  return values;
}
