/** The documentation of the API: made from the docstrings of every entry, none missing, no link broken. */
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { Application, type ProjectReflection } from 'typedoc';
import { beforeAll, expect, test } from 'vitest';

const root = fileURLToPath(new URL('../../', import.meta.url));
let app: Application;
let project: ProjectReflection | undefined;

beforeAll(async () => {
  app = await Application.bootstrapWithPlugins({
    options: `${root}typedoc.json`,
    logLevel: 'Error',
    // Links to the sources are warned of where the repository has no remote.
    disableSources: true,
  });
  project = await app.convert();
});

test('every entry with JavaScript is documented', () => {
  const { exports } = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as { exports: Record<string, unknown> };
  const entries = Object.entries(exports)
    .filter(([, target]) => typeof target === 'object')
    .map(([name]) => (name === '.' ? 'index' : name.slice('./'.length)));
  expect(project?.children?.map(({ name }) => name).sort()).toEqual(entries.sort());
});

test('every public name has a docstring, and every type that it uses is documented', () => {
  if (project === undefined) throw new Error('The sources did not convert.');
  app.validate(project);
  expect(app.logger.errorCount).toBe(0);
  expect(app.logger.validationWarningCount).toBe(0);
  expect(app.logger.warningCount).toBe(0);
});
