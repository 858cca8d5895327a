/** The element of that kind that the page is known to hold. */
export function find<T extends Element>(selector: string, kind: abstract new () => T, root: ParentNode = document): T {
  const element = root.querySelector(selector);
  if (!(element instanceof kind)) throw new Error(`The page has no ${kind.name} at ${selector}`);
  return element;
}

export function onClick(selector: string, root: ParentNode, action: () => void): void {
  find(selector, HTMLButtonElement, root).addEventListener('click', action);
}
