/** The page's colours for a canvas, which knows no custom properties. */
export class Palette {
  readonly #probe = document.createElement('span');
  readonly #colours = new Map<string, string>();

  /** `onChange` is called when the page turns dark or light, until `signal` aborts. */
  constructor(root: HTMLElement, onChange: () => void, signal: AbortSignal) {
    this.#probe.hidden = true;
    // Where the system chooses the colours, all would be its one for text.
    this.#probe.style.setProperty('forced-color-adjust', 'none');
    root.append(this.#probe);
    matchMedia('(prefers-color-scheme: dark)').addEventListener(
      'change',
      () => {
        this.#colours.clear();
        onChange();
      },
      { signal },
    );
  }

  /** The colour of a custom property, as in `colour('--ink')`. */
  colour(name: string): string {
    const known = this.#colours.get(name);
    if (known !== undefined) return known;
    this.#probe.style.color = `var(${name})`;
    const { color } = getComputedStyle(this.#probe);
    this.#colours.set(name, color);
    return color;
  }
}
