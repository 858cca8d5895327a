/** Finds a Chrome or Chromium, and a Firefox, for the tests and the benchmark; `ensureBrowser` and `ensureFirefox` also install one. */
import { spawnSync } from 'node:child_process';
import { accessSync, constants, existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { isMain, root } from './setup.mjs';

const commands = ['google-chrome-stable', 'google-chrome', 'chromium', 'chromium-browser', 'chrome'];
const macApplications = ['Google Chrome', 'Chromium'].map((name) => `/Applications/${name}.app/Contents/MacOS/${name}`);
const windowsFolders = [process.env['PROGRAMFILES'], process.env['PROGRAMFILES(X86)'], process.env['LOCALAPPDATA']];

const advice = [
  'No Chrome or Chromium was found, and none could be installed. Either',
  '  - install Google Chrome or Chromium (on Debian or Ubuntu: apt-get install chromium), or',
  '  - run: npx puppeteer browsers install chrome, or',
  "  - set PUPPETEER_EXECUTABLE_PATH (or CHROME_PATH) to a browser's executable.",
].join('\n');

/** @param {string} path */
function isExecutable(path) {
  try {
    accessSync(path, constants.X_OK);
    return statSync(path).isFile();
  } catch {
    return false;
  }
}

/** @returns {string | undefined} the browser that the environment names; a wrong name is an error, not a hint. */
function fromEnvironment() {
  for (const name of ['PUPPETEER_EXECUTABLE_PATH', 'CHROME_PATH']) {
    const path = process.env[name];
    if (!path) continue;
    if (!isExecutable(path)) throw new Error(`${name} is '${path}', which is not an executable file.`);
    return path;
  }
  return undefined;
}

/** @returns {Promise<string | undefined>} the browser in puppeteer's cache. */
async function fromPuppeteer() {
  try {
    const { default: puppeteer } = await import('puppeteer');
    const path = puppeteer.executablePath();
    return isExecutable(path) ? path : undefined;
  } catch {
    return undefined; // puppeteer throws where its cache holds no browser
  }
}

/**
 * @param {readonly string[]} names of commands
 * @returns {string[]} where the system's path may have them, in order
 */
function onPath(names) {
  const folders = (process.env['PATH'] ?? '').split(delimiter).filter((folder) => folder !== '');
  return folders.flatMap((folder) => names.map((name) => join(folder, name)));
}

/** @returns {string | undefined} a browser that is installed on the machine. */
function fromSystem() {
  const candidates = onPath(commands);
  if (process.platform === 'darwin') candidates.push(...macApplications);
  if (process.platform === 'win32') {
    for (const folder of windowsFolders) {
      if (folder) candidates.push(join(folder, 'Google', 'Chrome', 'Application', 'chrome.exe'));
    }
  }
  return candidates.find(isExecutable);
}

/**
 * A browser that is there already.
 * @returns {Promise<string>} the path of its executable
 */
export async function findBrowser() {
  const path = fromEnvironment() ?? (await fromPuppeteer()) ?? fromSystem();
  if (path === undefined) throw new Error(advice);
  return path;
}

function installWithPuppeteer() {
  const installer = join(root, 'node_modules', 'puppeteer', 'lib', 'cjs', 'puppeteer', 'node', 'cli.js');
  if (!existsSync(installer)) return;
  spawnSync(process.execPath, [installer, 'browsers', 'install', 'chrome'], {
    cwd: root,
    stdio: 'ignore',
    timeout: 180_000,
  });
}

/** @param {string} name of a package */
function installWithApt(name) {
  const isRoot = process.getuid?.() === 0;
  const isDebian = existsSync('/etc/debian_version') && !/^ID=ubuntu$/m.test(osRelease()); // Ubuntu's package is a snap
  if (!isRoot || !isDebian) return;
  const env = { ...process.env, DEBIAN_FRONTEND: 'noninteractive' };
  const install = ['install', '--yes', '--quiet', '--no-install-recommends', name];
  for (const args of [['update', '--quiet'], install]) {
    const { status, error, stderr } = spawnSync('apt-get', args, { env, encoding: 'utf8', timeout: 300_000 });
    if (status !== 0) console.error(`apt-get ${args[0] ?? ''} failed: ${error?.message ?? stderr}`);
  }
}

function osRelease() {
  return existsSync('/etc/os-release') ? readFileSync('/etc/os-release', 'utf8') : '';
}

/**
 * A browser that is there, or that can be had without asking anyone.
 * @returns {Promise<string>} the path of its executable
 */
export async function ensureBrowser() {
  try {
    return await findBrowser();
  } catch (error) {
    if (fromEnvironmentIsSet()) throw error;
  }
  for (const [name, install] of /** @type {const} */ ([
    ["puppeteer's installer", installWithPuppeteer],
    [
      "Debian's package chromium",
      () => {
        installWithApt('chromium');
      },
    ],
  ])) {
    console.log(`No browser yet: trying ${name} …`);
    install();
    const path = (await fromPuppeteer()) ?? fromSystem();
    if (path !== undefined) return path;
  }
  throw new Error(advice);
}

function fromEnvironmentIsSet() {
  return Boolean(process.env['PUPPETEER_EXECUTABLE_PATH'] ?? process.env['CHROME_PATH']);
}

/**
 * Firefox, on this machine or by Debian's package.
 * @returns {string | undefined} the path of its executable
 */
export function ensureFirefox() {
  const find = () => onPath(['firefox-esr', 'firefox']).find(isExecutable);
  const found = process.env['FIREFOX_PATH'] ?? find();
  if (found !== undefined) return found;
  installWithApt('firefox-esr');
  return find();
}

if (isMain(import.meta.url)) console.log(await ensureBrowser());
