import { find, onClick } from '../page.ts';

/** What the visitor gives: a picture or a film. */
export interface Given {
  readonly blob: Blob;
  readonly name: string;
}

/** Watches every way in which a file reaches the page: chosen, dropped, pasted. */
export function watchPictures(
  root: HTMLElement,
  signal: AbortSignal,
  onPicture: (given: Given) => void,
  onProblem: (error: unknown) => void,
): void {
  const input = find('input[type=file]', HTMLInputElement, root);
  const take = (files: FileList | null | undefined, otherwise: string): void => {
    const file = [...(files ?? [])].find(({ type }) => /^(image|video)\//.test(type));
    if (file) onPicture({ blob: file, name: file.name });
    else if (files?.length) onProblem(new Error(otherwise));
  };

  onClick('.choose', root, () => {
    input.click();
  });
  input.addEventListener('change', () => {
    take(input.files, 'That file is neither a picture nor a film.');
    input.value = ''; // so that the same file can be chosen again
  });

  const { body } = document;
  const hasFiles = (event: DragEvent): boolean => event.dataTransfer?.types.includes('Files') ?? false;
  const listen = <K extends keyof HTMLElementEventMap>(type: K, act: (event: HTMLElementEventMap[K]) => void): void => {
    body.addEventListener(type, act, { signal });
  };
  listen('dragover', (event) => {
    if (!hasFiles(event)) return;
    event.preventDefault();
    root.classList.add('dropping');
  });
  listen('dragleave', (event) => {
    if (!event.relatedTarget) root.classList.remove('dropping');
  });
  listen('drop', (event) => {
    root.classList.remove('dropping');
    if (!hasFiles(event)) return;
    event.preventDefault();
    take(event.dataTransfer?.files, 'What was dropped is neither a picture nor a film.');
  });
  listen('paste', (event) => {
    take(event.clipboardData?.files, 'What was pasted is neither a picture nor a film.');
  });
}
