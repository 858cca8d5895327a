// examples/node.ts in a process of its own, as a user of npm's `webgpu` runs it.
import { execFileSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import ts from 'typescript';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { install, type Installed } from '../support/installed.ts';

let user: Installed;
beforeAll(() => {
  user = install(['webgpu']);
});
afterAll(() => {
  user.remove();
});

test('a layer runs on Dawn, from host to host and in an encoder', () => {
  const source = readFileSync(join(user.folder, 'examples/node.ts'), 'utf8');
  const { outputText } = ts.transpileModule(source, {
    compilerOptions: { target: ts.ScriptTarget.ES2022, module: ts.ModuleKind.ESNext, verbatimModuleSyntax: true },
  });
  writeFileSync(join(user.folder, 'node.mjs'), outputText);
  const said = execFileSync(process.execPath, ['node.mjs'], { cwd: user.folder, encoding: 'utf8', stdio: 'pipe' });
  expect(said.trim().split('\n').slice(-2)).toEqual(['webgpu [ 1, 4, 32, 32 ]', '[ 1, 4, 32, 32 ] true']);
});
