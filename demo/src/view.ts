/**
 * What the shell and its views promise each other.
 *
 * A view is a folder of this directory whose `view.ts` exports `mount: Mount`; `views.ts` lists it under the name that
 * the address uses (`?view=explore&stride=2`; Upsample, the first one, needs none). It is fetched when first opened.
 *
 * - **mount** fills `root`, which is empty and belongs to the view alone until `signal` aborts. Markup is best kept in
 *   `view.html` (`import markup from './view.html?raw'`, then `root.innerHTML = markup`), rules in `view.css` (imported
 *   by `view.ts`; every selector under the view's own class). A view begins with an `<h1>`: it takes the focus when
 *   the visitor comes from another view. What mount throws is told in plain words with another
 *   try; what fails later goes to `problem`.
 * - **unmounting** is `signal`: it aborts when the visitor leaves, and then the shell empties `root`. Give it to
 *   listeners on `window` or `document`, to observers, to calls of the library; free GPU memory when it aborts. The view
 *   may be mounted again later, and is mounted again when Back or Forward changes its parameters.
 * - **params** are the address's at the time of mounting. Read them with `address.ts`: a link that says nonsense gives
 *   the default. **setParams** writes what was chosen back (null removes: do so for defaults), so that the
 *   address always is a link to what is shown.
 * - **devices** opens what `?device=` asks for: `await context.devices.open(readDevice(params))`. Devices are shared by all
 *   views (never destroy them) and are opened anew after one was
 *   lost, which the shell tells; what was under way then rejects, and the view offers another try.
 *
 * Looks: `style.css` has the tokens (type, space, colours for light and dark) and what views share: `.intro`, `.columns`,
 * `.side`, `.controls`, `.segments`, `.row`, `.figures`, `.progress`, `.problem`, `.note`, `.explain`, `.visually-hidden`.
 * Below 56rem there is one column; nothing is wider than a phone of 360 pixels. Work for more than a frame: `work.ts`.
 */
import type { Devices } from './device.ts';

export type Mount = (root: HTMLElement, params: URLSearchParams, context: ViewContext) => void | Promise<void>;

export interface ViewContext {
  readonly devices: Devices;
  /** Aborts when the visitor leaves the view. */
  readonly signal: AbortSignal;
  /** Writes parameters of this view into the address, without a new entry in the history; null removes one. */
  readonly setParams: (changes: Readonly<Record<string, string | null>>) => void;
  /** Tells in plain words that something failed, above the view; `retry` offers to try again. */
  readonly problem: (error: unknown, retry?: () => void) => void;
}
