import eslint from '@eslint/js';
import { defineConfig, globalIgnores } from 'eslint/config';
import tseslint from 'typescript-eslint';

/** @typedef {{ regex: string, message: string, allowTypeImports?: boolean }} Pattern */

/** @type {readonly Pattern[]} */
const everywhereInTheSources = [
  { regex: '^[^.]', message: 'The package has no runtime dependency.', allowTypeImports: true },
  { regex: '(^|/)(test|demo|bench|scripts)/', message: 'The package imports nothing from outside src/ and shaders/.' },
  { regex: '(^|/)\\.\\./index\\.ts$|^\\./index\\.ts$', message: 'index.ts is a door; nothing inside goes through it.' },
];

/**
 * Imports point one way, from the door to the devices; these rules keep it so. The last rule that fits a file counts.
 * @param {readonly string[]} files
 * @param {readonly Pattern[]} patterns
 * @returns {import('eslint').Linter.Config}
 */
const imports = (files, patterns) => ({
  files: [...files],
  rules: { '@typescript-eslint/no-restricted-imports': ['error', { patterns: [...patterns] }] },
});

const gpuConstructors =
  '/^(createBuffer|createShaderModule|createBindGroup|createBindGroupLayout|createPipelineLayout|createComputePipeline|createComputePipelineAsync|createCommandEncoder|createQuerySet|createTexture|requestAdapter|beginComputePass|dispatchWorkgroups|mapAsync|writeBuffer)$/';

export default defineConfig(
  // AssemblyScript has TypeScript's looks and other types: asc checks it.
  globalIgnores([
    '**/dist/',
    '**/build/',
    'docs/api/',
    '.cache/',
    'node_modules/',
    'assembly/',
    'src/cpu/{wasm-simd,wasm-relaxed-simd,worker-source}.ts',
  ]),
  eslint.configs.recommended,
  tseslint.configs.strictTypeChecked,
  tseslint.configs.stylisticTypeChecked,
  {
    languageOptions: { parserOptions: { projectService: true, tsconfigRootDir: import.meta.dirname } },
    linterOptions: { reportUnusedDisableDirectives: 'error' },
    rules: {
      // tsc knows which names exist, in .js files too.
      'no-undef': 'off',
      // `{ type: 'x' as const }` and index access are clearer than the alternatives in numeric code.
      '@typescript-eslint/restrict-template-expressions': ['error', { allowNumber: true, allowBoolean: true }],
      '@typescript-eslint/consistent-type-imports': 'error',
      '@typescript-eslint/explicit-module-boundary-types': 'error',
      '@typescript-eslint/switch-exhaustiveness-check': 'error',
      '@typescript-eslint/no-unnecessary-condition': [
        'error',
        { allowConstantLoopConditions: 'only-allowed-literals' },
      ],
      // TypeScript's noPropertyAccessFromIndexSignature asks for the brackets.
      '@typescript-eslint/dot-notation': 'off',
      // Counted loops are how kernels are written.
      '@typescript-eslint/prefer-for-of': 'off',
      eqeqeq: 'error',
      // An underscore names a parameter that an interface asks for and this implementation has no use for.
      '@typescript-eslint/no-unused-vars': ['error', { argsIgnorePattern: '^_' }],
      // noUncheckedIndexedAccess makes every array element possibly undefined; loops over known sizes know better.
      '@typescript-eslint/no-non-null-assertion': 'off',
    },
  },
  {
    files: ['**/*.js', '**/*.mjs'],
    rules: {
      '@typescript-eslint/explicit-module-boundary-types': 'off',
      // It does not see the casts that JSDoc writes.
      '@typescript-eslint/no-unsafe-assignment': 'off',
    },
  },

  imports(['src/**'], everywhereInTheSources),
  imports(
    ['src/{options,layouts,geometry,plan,errors,invalid,types,tensors,check-tensors}.ts'],
    [
      ...everywhereInTheSources,
      {
        regex: '(webgpu|cpu|frameworks)/|conv-transpose2d\\.ts|reference\\.ts|\\.wgsl',
        message: 'Options, geometry and plan are pure: they know neither device.',
        allowTypeImports: true,
      },
    ],
  ),
  imports(
    ['src/webgpu/**'],
    [
      ...everywhereInTheSources,
      {
        regex: '(cpu|frameworks)/|conv-transpose2d\\.ts|reference\\.ts',
        message: 'A device knows nothing of its callers.',
      },
    ],
  ),
  imports(
    ['src/cpu/**'],
    [
      ...everywhereInTheSources,
      {
        regex: '(webgpu|frameworks)/|conv-transpose2d\\.ts|reference\\.ts|\\.wgsl',
        message: 'A device knows nothing of its callers, nor of the other device.',
      },
    ],
  ),
  imports(
    ['src/frameworks/**'],
    [
      ...everywhereInTheSources,
      {
        regex: '^\\.\\./(?!(errors|invalid)\\.ts$)',
        message: "Frameworks know the options' types, errors.ts and invalid.ts, nothing else.",
        allowTypeImports: true,
      },
    ],
  ),
  imports(
    ['src/weights/**'],
    [
      ...everywhereInTheSources,
      {
        regex: '(webgpu|cpu|frameworks)/|conv-transpose2d\\.ts|reference\\.ts|\\.wgsl',
        message: 'Checkpoints become host tensors; they know neither device.',
      },
    ],
  ),
  imports(['src/reference.ts'], [{ regex: '.', message: 'The reference imports nothing: it judges everything else.' }]),
  imports(
    ['demo/**', 'bench/**', 'examples/**'],
    [{ regex: '\\.\\./src/|^/src/', message: 'Import webgpu-conv-transpose2d, as a user would.' }],
  ),
  {
    // Only src/webgpu touches the GPU; everyone else may name its types and pass its objects on.
    files: ['src/**'],
    ignores: ['src/webgpu/**', 'src/image/**', 'src/tfjs/**'],
    rules: {
      'no-restricted-globals': ['error', 'GPUBufferUsage', 'GPUMapMode', 'GPUShaderStage', 'GPUTextureUsage'],
      'no-restricted-syntax': [
        'error',
        {
          selector: `CallExpression[callee.property.name=${gpuConstructors}]`,
          message: 'Only src/webgpu touches the GPU.',
        },
        {
          selector: "MemberExpression[object.name='navigator'][property.name='gpu']",
          message: 'Only src/webgpu touches the GPU.',
        },
      ],
    },
  },
);
