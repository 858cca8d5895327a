// Attributes of other frameworks → `ConvTranspose2dOptions`, one file a framework. Each importer takes the framework's own
// names and values and follows its own rules; docs/frameworks.md has the table.
export { fromCaffe, type CaffeAttributes } from './caffe.ts';
export { fromKeras, type KerasAttributes } from './keras.ts';
export { fromMxnet, type MxnetAttributes } from './mxnet.ts';
export { fromOnnx, type OnnxAttributes } from './onnx.ts';
export { fromTensorFlow, type TensorFlowAttributes } from './tensorflow.ts';
export { fromWebNN, type WebNNAttributes } from './webnn.ts';
