/** A camera or a film that plays, and how it is let go. */
export interface Playing {
  readonly video: HTMLVideoElement;
  readonly name: string;
  close(): void;
}

/** Opens the camera. @throws Error in plain words where that cannot be. */
export async function openCamera(): Promise<Playing> {
  if (!window.isSecureContext) throw new Error('Browsers open the camera only on https pages and on this computer.');
  try {
    const stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: 'environment' } });
    return await play(
      'Camera',
      (video) => (video.srcObject = stream),
      () => {
        for (const track of stream.getTracks()) track.stop();
      },
    );
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

/** Plays a film over and over. @throws Error in plain words where the browser does not know the format. */
export async function openFilm(blob: Blob, name: string): Promise<Playing> {
  const url = URL.createObjectURL(blob);
  const release = (): void => {
    URL.revokeObjectURL(url);
  };
  try {
    return await play(name, (video) => (video.src = url), release);
  } catch (error) {
    throw new Error(`“${name}” could not be played as a film.`, { cause: error });
  }
}

async function play(name: string, attach: (video: HTMLVideoElement) => void, release: () => void): Promise<Playing> {
  const video = document.createElement('video');
  video.muted = true;
  video.loop = true;
  video.playsInline = true;
  attach(video);
  const close = (): void => {
    video.pause();
    video.srcObject = null;
    video.removeAttribute('src');
    release();
  };
  try {
    await video.play();
  } catch (error) {
    close();
    throw error;
  }
  return { video, name, close };
}
