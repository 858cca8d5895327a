/** The library in a frame, where the page's policies can be others. */
import type * as library from '../../src/index.ts';

export interface Frame {
  readonly window: Window & typeof globalThis;
  readonly library: typeof library;
  /** How many workers the library has asked for. */
  workersMade(): number;
  remove(): void;
}

declare global {
  interface Window {
    library?: typeof library;
    workersMade?: number;
  }
}

/**
 * On a machine of two cores, whatever it has.
 * @param policies `content`: the frame's Content Security Policy; `allow`: what its page leaves to it
 */
export async function loadInFrame(policies: { readonly content?: string; readonly allow?: string }): Promise<Frame> {
  const { content, allow } = policies;
  const element = document.createElement('iframe');
  if (allow !== undefined) element.allow = allow;
  const meta = content === undefined ? '' : `<meta http-equiv="Content-Security-Policy" content="${content}">`;
  element.srcdoc = `${meta}<script type="module">
    window.workersMade = 0;
    Object.defineProperty(navigator, 'hardwareConcurrency', { value: 2 });
    window.Worker = class extends Worker {
      constructor(...given) {
        window.workersMade++;
        super(...given);
      }
    };
    // By which vitest has every module of its server import others late.
    window.__vitest_browser_runner__ = { wrapDynamicImport: (load) => load() };
    window.library = await import('/src/index.ts');
    window.dispatchEvent(new Event('library'));
  </script>`;
  const loaded = new Promise<void>((resolve, reject) => {
    element.addEventListener('load', () => {
      const frame = element.contentWindow!;
      if (frame.library !== undefined) resolve();
      frame.addEventListener('library', () => {
        resolve();
      });
      frame.addEventListener('error', ({ message }) => {
        reject(new Error(message));
      });
    });
  });
  document.body.append(element);
  await loaded;
  const frame = element.contentWindow as Window & typeof globalThis;
  return {
    window: frame,
    library: frame.library!,
    workersMade: () => frame.workersMade ?? NaN,
    remove() {
      element.remove();
    },
  };
}
