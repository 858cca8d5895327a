/** Bind group layouts and pipelines: made once per device, kept as long as the device lives. */
import allPhasesRegistersCode from '../../shaders/all_phases_registers.wgsl?raw';
import convertCode from '../../shaders/convert_float16.wgsl?raw';
import directCode from '../../shaders/direct.wgsl?raw';
import phaseGemmCode from '../../shaders/phase_gemm.wgsl?raw';
import phaseRegistersCode from '../../shaders/phase_registers.wgsl?raw';
import phaseRegistersQuickCode from '../../shaders/phase_registers_quick.wgsl?raw';
import packCode from '../../shaders/pack_weight.wgsl?raw';
import inputTexelsCode from '../../shaders/input_texels.wgsl?raw';
import { ConvTranspose2dError } from '../errors.ts';
import type { KernelName } from '../kernels.ts';
import { getOrMake } from './get-or-make.ts';
import { compiled, lossBehind, lossOf } from './scopes.ts';

/** The bindings of a shader, in order. */
export type Bindings = readonly (GPUBufferBindingType | 'texture' | 'texels' | 'sampler')[];
const COMPUTE: Bindings = [
  'uniform',
  'read-only-storage',
  'read-only-storage',
  'read-only-storage',
  'read-only-storage',
  'storage',
];
const REGISTERS: Bindings = [
  'uniform',
  'read-only-storage',
  'texture',
  'texture',
  'read-only-storage',
  'storage',
  'sampler',
];
const TEXELS: Bindings = ['uniform', 'read-only-storage', 'texels'];
const PACK: Bindings = ['uniform', 'read-only-storage', 'storage'];
const CONVERT: Bindings = ['uniform', 'storage', 'storage'];

export type ShaderName = KernelName | 'pack-weight' | 'input-texels' | 'expand-float16' | 'compress-float16';

/** A shader that another module defines. The name is part of the cache's key, so different code needs different names. */
export interface Shader {
  readonly name: string;
  readonly code: string;
  readonly entryPoint: string;
  readonly bindings: Bindings;
}
const shaders: Readonly<Record<ShaderName, Omit<Shader, 'name'>>> = {
  direct: { code: directCode, entryPoint: 'main', bindings: COMPUTE },
  'phase-gemm': { code: phaseGemmCode, entryPoint: 'wide', bindings: COMPUTE },
  'phase-gemm-small': { code: phaseGemmCode, entryPoint: 'small', bindings: COMPUTE },
  'phase-registers': { code: phaseRegistersCode, entryPoint: 'main', bindings: REGISTERS },
  'phase-registers-quick': { code: phaseRegistersQuickCode, entryPoint: 'main', bindings: REGISTERS },
  'all-phases-registers': { code: allPhasesRegistersCode, entryPoint: 'main', bindings: COMPUTE },
  'input-texels': { code: inputTexelsCode, entryPoint: 'main', bindings: TEXELS },
  'pack-weight': { code: packCode, entryPoint: 'main', bindings: PACK },
  'expand-float16': { code: convertCode, entryPoint: 'expand', bindings: CONVERT },
  'compress-float16': { code: convertCode, entryPoint: 'compress', bindings: CONVERT },
};

/** All that determines a pipeline: the cache's key. */
export interface PipelineRequest {
  readonly shader: ShaderName | Shader;
  readonly constants: Readonly<Record<string, number>>;
  /** Whether the shader's `Scalar` is f16. */
  readonly float16: boolean;
}

/** A shader's name, for labels and keys. */
export const nameOf = (shader: ShaderName | Shader): string => (typeof shader === 'string' ? shader : shader.name);

const shaderOf = (shader: ShaderName | Shader): Shader =>
  typeof shader === 'string' ? { name: shader, ...shaders[shader] } : shader;

interface DeviceCache {
  sampler?: GPUSampler;
  readonly layouts: Map<Bindings, GPUBindGroupLayout>;
  readonly modules: Map<string, GPUShaderModule>;
  readonly pipelines: Map<string, GPUComputePipeline>;
  readonly pending: Map<string, Promise<GPUComputePipeline>>;
}
const caches = new WeakMap<GPUDevice, DeviceCache>();

const cacheOf = (device: GPUDevice): DeviceCache =>
  getOrMake(caches, device, () => ({
    layouts: new Map(),
    modules: new Map(),
    pipelines: new Map(),
    pending: new Map(),
  }));

/** What a texel holds: four float32. */
export const TEXEL_FORMAT = 'rgba32float';

const entry = (type: Bindings[number], binding: number): GPUBindGroupLayoutEntry => ({
  binding,
  visibility: GPUShaderStage.COMPUTE,
  ...(type === 'texture'
    ? { texture: { sampleType: 'unfilterable-float' } }
    : type === 'texels'
      ? { storageTexture: { format: TEXEL_FORMAT } }
      : type === 'sampler'
        ? { sampler: { type: 'non-filtering' } }
        : { buffer: { type } }),
});

/** The bind group layout of a shader: kernels of a kind have the same. */
function bindGroupLayout(device: GPUDevice, shader: ShaderName | Shader): GPUBindGroupLayout {
  const { name, bindings } = shaderOf(shader);
  return getOrMake(cacheOf(device).layouts, bindings, () =>
    device.createBindGroupLayout({ label: `conv-transpose2d ${name}`, entries: bindings.map(entry) }),
  );
}

/** A bind group of a shader's resources, in order. Where the shader has a sampler, it comes last and is added here. */
export function bindGroup(
  device: GPUDevice,
  shader: ShaderName | Shader,
  resources: readonly GPUBindingResource[],
): GPUBindGroup {
  const all = shaderOf(shader).bindings.includes('sampler') ? [...resources, samplerOf(device)] : resources;
  return device.createBindGroup({
    label: `conv-transpose2d ${nameOf(shader)}`,
    layout: bindGroupLayout(device, shader),
    entries: all.map((resource, binding) => ({ binding, resource })),
  });
}

/** The sampler of kernels that read texels: it takes the texel that a coordinate lies in. */
function samplerOf(device: GPUDevice): GPUSampler {
  const cache = cacheOf(device);
  return (cache.sampler ??= device.createSampler({ label: 'conv-transpose2d texels', addressModeU: 'repeat' }));
}

/** The same shader with element type f16: its one `alias Scalar` line is replaced. */
function withFloat16(code: string): string {
  const float16 = code.replace('alias Scalar = f32;', 'alias Scalar = f16;');
  if (float16 === code) throw new Error('a shader has one alias Scalar');
  return `enable f16;\n${float16}`;
}

function shaderModule(device: GPUDevice, { shader, float16 }: PipelineRequest): GPUShaderModule {
  const { name, code: float32 } = shaderOf(shader);
  const code = float16 ? withFloat16(float32) : float32;
  return getOrMake(cacheOf(device).modules, code, () => device.createShaderModule({ label: name, code }));
}

function describe(device: GPUDevice, request: PipelineRequest): GPUComputePipelineDescriptor {
  const { shader, constants } = request;
  const { name, entryPoint } = shaderOf(shader);
  return {
    label: `conv-transpose2d ${name}`,
    layout: device.createPipelineLayout({
      label: `conv-transpose2d ${name}`,
      bindGroupLayouts: [bindGroupLayout(device, shader)],
    }),
    compute: {
      module: shaderModule(device, request),
      entryPoint,
      constants: { ...constants },
    },
  };
}

const keyOf = ({ shader, constants, float16 }: PipelineRequest): string =>
  `${nameOf(shader)} ${float16} ${JSON.stringify(constants)}`;

export const isCompiled = (device: GPUDevice, request: PipelineRequest): boolean =>
  cacheOf(device).pipelines.has(keyOf(request));

/** The pipeline, compiled synchronously if need be. Dropped from the cache if the segment that compiles it fails. */
export function pipelineNow(device: GPUDevice, request: PipelineRequest): GPUComputePipeline {
  const { pipelines } = cacheOf(device);
  const key = keyOf(request);
  return getOrMake(pipelines, key, () => {
    const made = device.createComputePipeline(describe(device, request));
    compiled(made, () => {
      if (pipelines.get(key) === made) pipelines.delete(key);
    });
    return made;
  });
}

/** The pipeline, compiled without blocking: one compile in flight per key; one that fails is not kept. */
export async function pipelineSoon(device: GPUDevice, request: PipelineRequest): Promise<GPUComputePipeline> {
  const { pipelines, pending } = cacheOf(device);
  const key = keyOf(request);
  const compileOnce = async (): Promise<GPUComputePipeline> => {
    try {
      const pipeline = await compile(device, request);
      pipelines.set(key, pipeline);
      return pipeline;
    } finally {
      pending.delete(key);
    }
  };
  return pipelines.get(key) ?? getOrMake(pending, key, compileOnce);
}

async function compile(device: GPUDevice, request: PipelineRequest): Promise<GPUComputePipeline> {
  const descriptor = describe(device, request);
  try {
    const pipeline = await device.createComputePipelineAsync(descriptor);
    // On a lost device, compiling still resolves.
    const lost = lossOf(device);
    if (lost !== undefined) throw lost;
    return pipeline;
  } catch (cause) {
    const lost = await lossBehind(device);
    if (lost !== undefined) throw lost;
    const { messages } = await descriptor.compute.module.getCompilationInfo();
    const lines = messages.map(({ type, lineNum, linePos, message }) => `${lineNum}:${linePos} ${type}: ${message}`);
    const said = lines.join('\n') || String(cause);
    throw new ConvTranspose2dError('GPU_ERROR', `kernel ${nameOf(request.shader)} does not compile: ${said}`, {
      cause,
    });
  }
}
