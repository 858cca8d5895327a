// Pictures and video in, canvas out: all on the GPU.
export { imageToTensor, type ImageSource, type ImageToTensorOptions } from './from-image.ts';
export { textureToTensor, type TextureToTensorOptions } from './from-texture.ts';
export { tensorToCanvas, type TensorToCanvasOptions } from './to-canvas.ts';
export { tensorToTexture, type TensorToTextureOptions } from './to-texture.ts';
export { type PerChannel, type PixelOptions } from './options.ts';
