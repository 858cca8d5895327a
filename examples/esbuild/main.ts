import { outputShape } from 'webgpu-conv-transpose2d';
import { upsampleInWorker } from '../worker.ts';

// A worker is an entry point of its own: see build.mjs.
const worker = new Worker(new URL('./upsample.worker.js', import.meta.url), { type: 'module' });
const [canvas, said] = [document.querySelector('canvas'), document.querySelector('output')];
const picture = await createImageBitmap(await (await fetch('./picture.png')).blob());

const shape = outputShape([3, picture.height, picture.width], [3, 1, 4, 4], { stride: 2, padding: 1, groups: 3 });
if (canvas !== null) await upsampleInWorker(worker, canvas, picture);
if (said !== null) said.value = shape.join(' × ');
