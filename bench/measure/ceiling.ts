import shader from './matmul.wgsl?raw';
import { median } from './statistics.ts';

export interface Ceiling {
  readonly size: number;
  /** GFLOP/s of the better form. */
  readonly gflops: number;
  readonly forms: Readonly<Record<string, number>>;
}

const SAMPLES = 7;

/** What a plain float32 matrix product reaches on this device, checked before it is timed. */
export async function matmulCeiling(device: GPUDevice, size = 1024): Promise<Ceiling> {
  const bytes = size * size * 4;
  const storage = GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_DST | GPUBufferUsage.COPY_SRC;
  const [a, b, c] = ['a', 'b', 'c'].map((label) => device.createBuffer({ label, size: bytes, usage: storage }));
  const params = device.createBuffer({ size: 16, usage: GPUBufferUsage.UNIFORM | GPUBufferUsage.COPY_DST });
  if (!a || !b || !c) throw new Error('no buffers');
  // a[k][m] = m mod 7, b[k][n] = n mod 5: c[m][n] = size · (m mod 7) · (n mod 5), exact in float32.
  const fill = (modulus: number): Float32Array<ArrayBuffer> =>
    Float32Array.from({ length: size * size }, (_, i) => (i % size) % modulus);
  device.queue.writeBuffer(a, 0, fill(7));
  device.queue.writeBuffer(b, 0, fill(5));
  device.queue.writeBuffer(params, 0, Uint32Array.of(size, size, size));
  const module = device.createShaderModule({ label: 'matmul', code: shader });
  const forms: Record<string, number> = {};
  for (const [entryPoint, groups] of [
    ['registers', [Math.ceil(size / 256), size / 8]],
    ['tiles', [size / 64, size / 64]],
  ] as const) {
    const pipeline = await device.createComputePipelineAsync({ layout: 'auto', compute: { module, entryPoint } });
    const bindGroup = device.createBindGroup({
      layout: pipeline.getBindGroupLayout(0),
      entries: [a, b, c, params].map((buffer, binding) => ({ binding, resource: { buffer } })),
    });
    const run = async (times: number): Promise<number> => {
      const start = performance.now();
      const encoder = device.createCommandEncoder();
      for (let i = 0; i < times; i++) {
        const pass = encoder.beginComputePass();
        pass.setPipeline(pipeline);
        pass.setBindGroup(0, bindGroup);
        pass.dispatchWorkgroups(...groups);
        pass.end();
      }
      device.queue.submit([encoder.finish()]);
      await device.queue.onSubmittedWorkDone();
      return (performance.now() - start) / times;
    };
    await run(1);
    await verify(device, c, size, entryPoint);
    const repeats = Math.max(1, Math.round(30 / (await run(1))));
    const samples: number[] = [];
    for (let i = 0; i < SAMPLES; i++) samples.push(await run(repeats));
    forms[entryPoint] = (2 * size ** 3) / median(samples) / 1e6;
  }
  for (const buffer of [a, b, c, params]) buffer.destroy();
  return { size, gflops: Math.max(...Object.values(forms)), forms };
}

async function verify(device: GPUDevice, c: GPUBuffer, size: number, form: string): Promise<void> {
  const staging = device.createBuffer({ size: c.size, usage: GPUBufferUsage.MAP_READ | GPUBufferUsage.COPY_DST });
  const encoder = device.createCommandEncoder();
  encoder.copyBufferToBuffer(c, 0, staging, 0, c.size);
  encoder.clearBuffer(c);
  device.queue.submit([encoder.finish()]);
  await staging.mapAsync(GPUMapMode.READ);
  const values = new Float32Array(staging.getMappedRange());
  const wrong = values.findIndex((value, i) => value !== size * (Math.floor(i / size) % 7) * ((i % size) % 5));
  staging.destroy();
  if (wrong >= 0) throw new Error(`the matmul's ${form} form is wrong at ${wrong}`);
}
