import { Devices } from './device.ts';
import { find, onClick } from './page.ts';
import type { ViewContext } from './view.ts';
import { VIEWS, type ViewEntry } from './views.ts';
import { fetched, GPU_TAKEN, plainWords } from './words.ts';

/** The page around the views: which one is open is in the address, and nowhere else. */
export class Shell {
  readonly #root = find('#view', HTMLElement);
  readonly #problem = find('#problem', HTMLElement);
  readonly #devices = new Devices();
  readonly #links = new Map<ViewEntry, HTMLAnchorElement>();
  #retry: (() => void) | undefined;
  #open = new AbortController();
  #shown = '';

  constructor() {
    const list = find('.views', HTMLElement);
    for (const entry of VIEWS) {
      const link = document.createElement('a');
      link.textContent = entry.name;
      link.href = searchFor(entry, new URLSearchParams()) || location.pathname;
      link.addEventListener('click', (event) => {
        this.#follow(event, link);
      });
      const item = document.createElement('li');
      item.append(link);
      list.append(item);
      this.#links.set(entry, link);
    }
    onClick('.retry', this.#problem, () => {
      const retry = this.#retry;
      this.#say('');
      retry?.();
    });
    onClick('.on-cpu', this.#problem, () => {
      const params = new URLSearchParams(location.search);
      params.set('device', 'cpu');
      history.replaceState(null, '', `?${params.toString()}`);
      void this.show(true);
    });
    onClick('.dismiss', this.#problem, () => {
      this.#say('');
    });
    this.#devices.onLost = () => {
      this.#say(`${GPU_TAKEN} It is asked for again when there is something to compute.`);
    };
    window.addEventListener('popstate', () => {
      // A link within the page moves the reader, and the view stays.
      if (location.search !== this.#shown) void this.show();
    });
  }

  /** Opens the view that the address names; its title takes the focus where the visitor pressed something that is gone. */
  async show(takesFocus = false): Promise<void> {
    this.#open.abort();
    this.#open = new AbortController();
    const { signal } = this.#open;
    const params = new URLSearchParams(location.search);
    const entry = VIEWS.find(({ id }) => id === params.get('view')) ?? VIEWS[0];
    this.#say('');
    this.#mark(entry);
    document.title = `${entry.title} · webgpu-conv-transpose2d`;
    // What is still there belongs to the view that was left, and does nothing any more.
    this.#wait(true);
    try {
      const { mount } = await fetched(entry.load());
      if (signal.aborted) return;
      this.#wait(false);
      const root = document.createElement('div');
      root.className = `view ${entry.id}`;
      this.#root.replaceChildren(root);
      const mounted = mount(root, params, this.#contextFor(entry, signal));
      if (takesFocus) this.#focusTitle();
      await mounted;
    } catch (error) {
      if (signal.aborted) return;
      if (this.#root.inert) this.#root.replaceChildren();
      this.#wait(false);
      this.#say(plainWords(error), () => void this.show(true));
    }
  }

  #wait(isWaiting: boolean): void {
    this.#root.inert = isWaiting;
    this.#root.ariaBusy = String(isWaiting);
  }

  #contextFor(entry: ViewEntry, signal: AbortSignal): ViewContext {
    return {
      devices: this.#devices,
      signal,
      setParams: (changes) => {
        if (signal.aborted) return;
        const params = new URLSearchParams(location.search);
        for (const [name, value] of Object.entries(changes)) {
          if (value === null) params.delete(name);
          else params.set(name, value);
        }
        history.replaceState(null, '', searchFor(entry, params) || location.pathname);
        this.#mark(entry);
      },
      problem: (error, retry) => {
        if (!signal.aborted) this.#say(plainWords(error), retry);
      },
    };
  }

  /** Goes where a link leads, within the page. */
  #follow(event: MouseEvent, link: HTMLAnchorElement): void {
    if (event.button !== 0 || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
    event.preventDefault();
    // As a browser does: a link to where one is already is no step to go back.
    if (link.href !== location.href) history.pushState(null, '', link.href);
    window.scrollTo(0, 0);
    void this.show(true);
  }

  /** Marks the open view, whose link becomes what is shown now; the choice of device goes along to the others. */
  #mark(open: ViewEntry): void {
    this.#shown = location.search;
    const device = new URLSearchParams(location.search).get('device');
    for (const [entry, link] of this.#links) {
      if (entry === open) {
        link.href = location.href;
        link.setAttribute('aria-current', 'page');
        continue;
      }
      link.removeAttribute('aria-current');
      const params = new URLSearchParams(new URL(link.href).search);
      if (device === null) params.delete('device');
      else params.set('device', device);
      link.href = searchFor(entry, params) || location.pathname;
    }
  }

  #say(text: string, retry?: () => void): void {
    this.#retry = retry;
    const hadFocus = this.#problem.contains(document.activeElement);
    find('p', HTMLElement, this.#problem).textContent = text;
    find('.retry', HTMLElement, this.#problem).hidden = retry === undefined;
    const wantsGpu = new URLSearchParams(location.search).get('device') === 'webgpu';
    find('.on-cpu', HTMLElement, this.#problem).hidden = retry === undefined || !wantsGpu;
    this.#problem.hidden = text === '';
    // The button that was pressed is gone.
    if (hadFocus && text === '') this.#focusTitle();
  }

  #focusTitle(): void {
    const title = this.#root.querySelector('h1');
    title?.setAttribute('tabindex', '-1');
    title?.focus({ preventScroll: true });
  }
}

/** The search part of an address, the view's name first; none for the first view without parameters. */
function searchFor(entry: ViewEntry, params: URLSearchParams): string {
  const rest = [...params].filter(([name]) => name !== 'view');
  const all = new URLSearchParams(entry === VIEWS[0] ? rest : [['view', entry.id], ...rest]).toString();
  return all && `?${all}`;
}
