/** Small whole numbers to be chosen per axis: one stepper for both axes, or one for height and one for width. */
import './pair-controls.css';
export type Pair = readonly [height: number, width: number];

export interface PairField<Name extends string> {
  readonly name: Name;
  readonly label: string;
  /** What it means, in a few plain words. */
  readonly hint: string;
  readonly bounds: readonly [least: number, most: number];
}

const AXES = ['height', 'width'] as const;

export class PairControls<Name extends string> {
  readonly #rows = new Map<Name, Row>();
  readonly #apart = document.createElement('input');
  readonly #onChange: (name: Name, value: Pair) => void;

  constructor(parent: HTMLElement, fields: readonly PairField<Name>[], onChange: (name: Name, value: Pair) => void) {
    this.#onChange = onChange;
    for (const field of fields) {
      const row = new Row(field, (axis, value) => {
        this.#changed(field.name, axis, value);
      });
      this.#rows.set(field.name, row);
      parent.append(row.element);
    }
    this.#apart.type = 'checkbox';
    this.#apart.name = 'apart';
    const label = document.createElement('label');
    label.className = 'check';
    label.append(this.#apart, 'Height and width apart');
    parent.append(label);
    this.#apart.addEventListener('change', () => {
      this.#show();
      // Together again: the width follows the height.
      if (!this.#apart.checked) {
        for (const [name, { value }] of this.#rows) if (value[0] !== value[1]) onChange(name, [value[0], value[0]]);
      }
    });
  }

  /** Shows these values; steppers come apart where an axis differs, and stay so. */
  set(values: Readonly<Record<Name, Pair>>): void {
    for (const [name, row] of this.#rows) row.set(values[name]);
    if ([...this.#rows.values()].some(({ value }) => value[0] !== value[1])) this.#apart.checked = true;
    this.#show();
  }

  #show(): void {
    for (const row of this.#rows.values()) row.setApart(this.#apart.checked);
  }

  #changed(name: Name, axis: 0 | 1, value: number): void {
    const before = this.#rows.get(name)!.value;
    const after: Pair = !this.#apart.checked ? [value, value] : axis === 0 ? [value, before[1]] : [before[0], value];
    this.#onChange(name, after);
  }
}

class Row {
  readonly element = document.createElement('div');
  readonly #label: string;
  readonly #steppers: readonly [Stepper, Stepper];
  value: Pair = [0, 0];

  constructor(field: PairField<string>, onChange: (axis: 0 | 1, value: number) => void) {
    this.#label = field.label;
    this.element.className = 'pair';
    const words = document.createElement('p');
    words.className = 'pair-words';
    const name = document.createElement('span');
    name.textContent = field.label;
    const hint = document.createElement('span');
    hint.className = 'note';
    hint.textContent = field.hint;
    words.append(name, hint);
    const steppers = ([0, 1] as const).map(
      (axis) =>
        new Stepper(`${field.name}-${AXES[axis]}`, field.bounds, (value) => {
          onChange(axis, value);
        }),
    );
    this.#steppers = steppers as [Stepper, Stepper];
    const both = document.createElement('div');
    both.className = 'pair-steppers';
    both.append(...steppers.map(({ element }) => element));
    this.element.append(words, both);
  }

  set(value: Pair): void {
    this.value = value;
    this.#steppers[0].set(value[0]);
    this.#steppers[1].set(value[1]);
  }

  setApart(apart: boolean): void {
    this.element.classList.toggle('apart', apart);
    this.#steppers[0].name(apart ? `${this.#label}, height` : this.#label);
    this.#steppers[1].name(`${this.#label}, width`);
    this.#steppers[1].element.hidden = !apart;
  }
}

class Stepper {
  readonly element = document.createElement('div');
  readonly #input = document.createElement('input');
  readonly #less = document.createElement('button');
  readonly #more = document.createElement('button');
  readonly #bounds: readonly [number, number];
  #value = 0;

  constructor(id: string, bounds: readonly [number, number], onChange: (value: number) => void) {
    this.#bounds = bounds;
    this.element.className = 'stepper';
    this.#input.type = 'number';
    this.#input.id = id;
    this.#input.inputMode = 'numeric';
    this.#input.min = String(bounds[0]);
    this.#input.max = String(bounds[1]);
    const change = (value: number): void => {
      const within = Math.min(Math.max(Math.round(value), bounds[0]), bounds[1]);
      if (Number.isFinite(value) && within !== this.#value) onChange(within);
      // What was typed may be no number or out of bounds.
      this.set(this.#value);
    };
    for (const [button, text, step] of [
      [this.#less, '−', -1],
      [this.#more, '+', 1],
    ] as const) {
      button.type = 'button';
      button.textContent = text;
      button.addEventListener('click', () => {
        change(this.#value + step);
      });
    }
    this.#input.addEventListener('change', () => {
      change(this.#input.valueAsNumber);
    });
    this.element.append(this.#less, this.#input, this.#more);
  }

  set(value: number): void {
    this.#value = value;
    this.#input.value = String(value);
    // Not disabled, which would take the focus away in the middle of pressing.
    this.#less.setAttribute('aria-disabled', String(value === this.#bounds[0]));
    this.#more.setAttribute('aria-disabled', String(value === this.#bounds[1]));
  }

  name(label: string): void {
    this.#input.setAttribute('aria-label', label);
    this.#less.setAttribute('aria-label', `Less: ${label}`);
    this.#more.setAttribute('aria-label', `More: ${label}`);
  }
}

/** A parameter of the address like `3` or `3x4`; anything else gives the default. */
export function readPair(
  params: URLSearchParams,
  name: string,
  [least, most]: readonly [number, number],
  otherwise: Pair,
): Pair {
  const found = /^(\d{1,3})(?:x(\d{1,3}))?$/.exec(params.get(name) ?? '');
  if (!found) return otherwise;
  const pair: Pair = [Number(found[1]), Number(found[2] ?? found[1])];
  return pair.every((value) => value >= least && value <= most) ? pair : otherwise;
}

/** How `readPair` reads it; null for the default. */
export function writePair([height, width]: Pair, otherwise: Pair): string | null {
  if (height === otherwise[0] && width === otherwise[1]) return null;
  return height === width ? String(height) : `${height}x${width}`;
}
