/** Devices that fail when a test says so. */

/** From now on, creating what `fails` selects runs out of memory: the object is invalid, and its error scope reports it. */
export function outOfMemory(device: GPUDevice, fails: (descriptor: GPUBufferDescriptor) => boolean): () => void {
  const own = {
    createBuffer: device.createBuffer.bind(device),
    pushErrorScope: device.pushErrorScope.bind(device),
    popErrorScope: device.popErrorScope.bind(device),
  };
  const filters: { filter: GPUErrorFilter; failed: boolean }[] = [];
  device.createBuffer = (descriptor) => {
    if (!fails(descriptor)) return own.createBuffer(descriptor);
    const innermost = [...filters].reverse().find(({ filter }) => filter === 'out-of-memory');
    if (innermost !== undefined) innermost.failed = true;
    return own.createBuffer({ ...descriptor, usage: descriptor.usage | GPUBufferUsage.MAP_WRITE });
  };
  device.pushErrorScope = (filter) => {
    filters.push({ filter, failed: false });
    own.pushErrorScope(filter);
  };
  device.popErrorScope = async () => {
    const scope = filters.pop();
    const error = await own.popErrorScope();
    return scope?.failed === true ? new GPUOutOfMemoryError('no room (made up by the test)') : error;
  };
  return () => {
    Object.assign(device, own);
  };
}

/** From now on, pipelines that `fails` names do not compile: they are invalid. */
export function notCompiling(device: GPUDevice, fails: (label: string) => boolean): () => void {
  const own = {
    createComputePipeline: device.createComputePipeline.bind(device),
    createRenderPipeline: device.createRenderPipeline.bind(device),
  };
  const ifFails = <Stage extends GPUProgrammableStage>(label = '', stage: Stage): Stage =>
    fails(label) ? { ...stage, entryPoint: 'none' } : stage;
  device.createComputePipeline = (descriptor) =>
    own.createComputePipeline({ ...descriptor, compute: ifFails(descriptor.label, descriptor.compute) });
  device.createRenderPipeline = (descriptor) =>
    own.createRenderPipeline({ ...descriptor, vertex: ifFails(descriptor.label, descriptor.vertex) });
  return () => {
    Object.assign(device, own);
  };
}

/** Calls until one is not refused any more, which is soon. */
export async function sooner<T>(call: () => Promise<T>): Promise<T> {
  const end = performance.now() + 30_000;
  for (;;) {
    try {
      return await call();
    } catch (error) {
      if (performance.now() > end) throw error;
    }
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}
