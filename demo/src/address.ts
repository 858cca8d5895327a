/** What a view reads of the page's address. A link that says nonsense gives the default. */

/** A parameter that must be one of a few words. */
export function readChoice<T extends string>(
  params: URLSearchParams,
  name: string,
  choices: readonly T[],
  otherwise: T,
): T {
  return choices.find((choice) => choice === params.get(name)) ?? otherwise;
}

/** A parameter that must be a whole number within bounds. */
export function readInteger(
  params: URLSearchParams,
  name: string,
  [least, most]: readonly [number, number],
  otherwise: number,
): number {
  const given = params.get(name) ?? '';
  const value = Number(given);
  return /^-?\d+$/.test(given) && value >= least && value <= most ? value : otherwise;
}
