import sampleUrl from '../pictures/harbour.webp';
import { find } from './page.ts';
import { UpsampleView } from './upsample/view.ts';

async function start(): Promise<void> {
  const blob = await (await fetch(sampleUrl)).blob();
  const sample = { blob, name: 'harbour' };
  await new UpsampleView(sample).open(sample);
}

start().catch((error: unknown) => {
  const problem = find('.problem', HTMLElement);
  find('p', HTMLElement, problem).textContent =
    `The page could not start: ${error instanceof Error ? error.message : 'unknown error'}`;
  problem.hidden = false;
});
