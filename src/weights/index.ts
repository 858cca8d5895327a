// Checkpoints, as PyTorch's users keep them, into the tensors that layers load.
export { readSafetensors, type ReadOptions } from './read.ts';
export { Checkpoint, type CheckpointTensor } from './checkpoint.ts';
export { type SafetensorsDType } from './header.ts';
