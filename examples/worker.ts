import type { Job } from './upsample.worker.ts';

/** Has a worker show a picture on a canvas of this page, at twice its size. The page itself does no work. */
export async function upsampleInWorker(worker: Worker, canvas: HTMLCanvasElement, picture: ImageBitmap): Promise<void> {
  const job: Job = { canvas: canvas.transferControlToOffscreen(), picture };
  const answer = new Promise<MessageEvent<string>>((resolve, reject) => {
    worker.addEventListener('message', resolve, { once: true });
    worker.addEventListener('error', reject, { once: true });
  });
  worker.postMessage(job, [job.canvas, job.picture]);
  const { data } = await answer;
  if (data !== 'shown') throw new Error(data);
}
