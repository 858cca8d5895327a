import { find } from '../page.ts';
import { context2d } from './result.ts';

/** Shows the camera in a dialog; gives the picture taken, or nothing when the dialog is closed. */
export async function takePhoto(root: HTMLElement): Promise<Blob | null> {
  const dialog = find('.camera-dialog', HTMLDialogElement, root);
  const video = find('video', HTMLVideoElement, dialog);
  const take = find('.take', HTMLButtonElement, dialog);
  const close = find('.close', HTMLButtonElement, dialog);
  const stream = await openCamera();
  try {
    video.srcObject = stream;
    dialog.showModal();
    await video.play();
    const taken = await new Promise<boolean>((resolve) => {
      take.onclick = () => {
        resolve(true);
      };
      close.onclick = () => {
        resolve(false);
      };
      dialog.onclose = () => {
        resolve(false);
      };
    });
    if (!taken) return null;
    const canvas = document.createElement('canvas');
    canvas.width = video.videoWidth;
    canvas.height = video.videoHeight;
    context2d(canvas).drawImage(video, 0, 0);
    return await new Promise((resolve) => {
      canvas.toBlob(resolve);
    });
  } finally {
    dialog.close();
    video.srcObject = null;
    for (const track of stream.getTracks()) track.stop();
  }
}

async function openCamera(): Promise<MediaStream> {
  if (!window.isSecureContext) throw new Error('Browsers open the camera only on https pages and on this computer.');
  try {
    return await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
  } catch (error) {
    const reasons: Record<string, string> = {
      NotAllowedError: 'The browser was not allowed to use the camera.',
      NotFoundError: 'No camera was found.',
      NotReadableError: 'The camera is in use by another program.',
    };
    const reason = error instanceof DOMException ? reasons[error.name] : undefined;
    throw new Error(reason ?? 'The camera could not be opened.', { cause: error });
  }
}
