/**
 * Mesa's lavapipe, a Vulkan driver that needs no GPU, for the tests that run Dawn in Node. On Debian it is unpacked from
 * the distribution's packages into .cache/lavapipe: the system's own Mesa stays as it is, and no rights are needed.
 */
import { spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { isMain, root } from './setup.mjs';

const cache = join(root, '.cache', 'lavapipe');
const unpacked = join(cache, 'root');
const ownDriverFile = join(cache, 'lvp_icd.json');
const packages = ['mesa-vulkan-drivers', 'libvulkan1'];

/** @typedef {Readonly<Record<string, string>>} Environment what Dawn's process needs in its environment */

/**
 * The environment that leads Dawn to a Vulkan driver that is there: the caller's own `VK_DRIVER_FILES`, or lavapipe.
 * @returns {Environment | undefined}
 */
export function findLavapipe() {
  const given = process.env['VK_DRIVER_FILES'];
  if (given) return { VK_DRIVER_FILES: given };
  if (!existsSync(ownDriverFile)) return undefined;
  const folders = [libraryFolder(), process.env['LD_LIBRARY_PATH']].filter(Boolean);
  return {
    VK_DRIVER_FILES: ownDriverFile,
    LD_LIBRARY_PATH: folders.join(delimiter),
    MESA_SHADER_CACHE_DIR: join(cache, 'shaders'),
  };
}

/**
 * The same, fetched first where it can be had without asking anyone.
 * @returns {Environment | undefined}
 */
export function ensureLavapipe() {
  return findLavapipe() ?? (unpackFromDebian() ? findLavapipe() : undefined);
}

/** @returns {string} the folder that holds the unpacked libraries */
function libraryFolder() {
  const lib = join(unpacked, 'usr', 'lib');
  const triplet = readdirSync(lib).find((name) => name.endsWith('-linux-gnu'));
  return join(lib, triplet ?? '');
}

/** @returns {boolean} whether the driver is there now */
function unpackFromDebian() {
  const codename = process.platform === 'linux' ? debianCodename() : undefined;
  if (codename === undefined) return false;
  console.log('Fetching the software Vulkan driver lavapipe …');
  rmSync(cache, { recursive: true, force: true });
  for (const folder of ['lists/partial', 'archives/partial', 'sources', 'root']) {
    mkdirSync(join(cache, folder), { recursive: true });
  }
  // Bookworm's own Mesa is too old for Dawn.
  const suite = codename === 'bookworm' ? 'bookworm-backports' : codename;
  writeFileSync(join(cache, 'sources', 'debian.sources'), debianSources(codename, suite));
  const apt = [
    ['Dir::Etc::SourceList', '/dev/null'],
    ['Dir::Etc::SourceParts', join(cache, 'sources')],
    ['Dir::State::Lists', join(cache, 'lists')],
    ['Dir::Cache', cache],
    ['Dir::Cache::Archives', join(cache, 'archives')],
    ['APT::Sandbox::User', ''],
    ['Debug::NoLocking', 'true'],
  ].flatMap(([name, value]) => ['-o', `${name ?? ''}=${value ?? ''}`]);
  const install = [
    'install',
    '--yes',
    '--quiet',
    '--download-only',
    '--reinstall',
    '--no-install-recommends',
    '-t',
    suite,
  ];
  if (!run('apt-get', [...apt, 'update', '--quiet'])) return false;
  if (!run('apt-get', [...apt, ...install, ...packages])) return false;
  for (const file of readdirSync(join(cache, 'archives'))) {
    if (file.endsWith('.deb') && !run('dpkg-deb', ['-x', join(cache, 'archives', file), unpacked])) return false;
  }
  const library = join(libraryFolder(), 'libvulkan_lvp.so');
  if (!existsSync(library)) return false;
  for (const folder of ['lists', 'archives', 'sources']) rmSync(join(cache, folder), { recursive: true, force: true });
  // Mesa's own file may name a path of the system. Written last: its presence says that the driver is complete.
  const driver = { file_format_version: '1.0.0', ICD: { library_path: library, api_version: '1.4.0' } };
  writeFileSync(ownDriverFile, JSON.stringify(driver));
  return true;
}

/** @returns {string | undefined} Debian's release name, where this is Debian with apt */
function debianCodename() {
  if (!existsSync('/etc/os-release')) return undefined;
  const release = readFileSync('/etc/os-release', 'utf8');
  return /^ID=debian$/m.test(release) ? /^VERSION_CODENAME=(\w+)$/m.exec(release)?.[1] : undefined;
}

/**
 * The machine's own Debian entries, and the first of them again with another suite: they know which mirror may be asked.
 * @param {string} codename
 * @param {string} suite
 * @returns {string}
 */
function debianSources(codename, suite) {
  const own = [...deb822Entries(), ...oneLineEntries()];
  const main = own.find((entry) => new RegExp(`^Suites:.*\\b${codename}\\b(?!-)`, 'm').test(entry));
  return main === undefined ? '' : [...own, main.replace(/^Suites:.*$/m, `Suites: ${suite}`)].join('\n\n') + '\n';
}

/** @returns {string[]} */
function deb822Entries() {
  const file = '/etc/apt/sources.list.d/debian.sources';
  return existsSync(file)
    ? readFileSync(file, 'utf8')
        .split(/\n\s*\n/)
        .filter((entry) => /^Suites:/m.test(entry))
    : [];
}

/** @returns {string[]} the lines of sources.list, in the same form */
function oneLineEntries() {
  const file = '/etc/apt/sources.list';
  if (!existsSync(file)) return [];
  return [...readFileSync(file, 'utf8').matchAll(/^deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+(\S+)\s+(.+)$/gm)].map(
    ([, uri, suites, components]) =>
      `Types: deb\nURIs: ${uri ?? ''}\nSuites: ${suites ?? ''}\nComponents: ${components ?? ''}`,
  );
}

/**
 * @param {string} command
 * @param {readonly string[]} args
 * @returns {boolean} whether it succeeded; if not, what it said is printed
 */
function run(command, args) {
  const { status, stdout, stderr, error } = spawnSync(command, args, { encoding: 'utf8', timeout: 300_000 });
  if (status === 0) return true;
  console.error([error?.message, stdout, stderr].filter(Boolean).join('\n'));
  return false;
}

if (isMain(import.meta.url)) console.log(ensureLavapipe() ?? 'lavapipe could not be had here');
