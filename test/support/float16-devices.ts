import { testAdapter, testDevice } from './gpu.ts';

let printed = false;

/** A device that expands float16 by a pass, and where the adapter has `shader-f16` one that computes on it natively. */
export async function float16Devices(): Promise<GPUDevice[]> {
  const { features } = await testAdapter();
  const native = features.has('shader-f16') ? [await testDevice({ requiredFeatures: ['shader-f16'] })] : [];
  if (!printed) {
    printed = true;
    console.log(`float16: expanded${native.length > 0 ? ' and native' : '; this adapter has no shader-f16'}`);
  }
  return [await testDevice(), ...native];
}
