/** A page that runs a program with the package's files, from a server that a test has a say in. */
import { readFileSync } from 'node:fs';
import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';

export interface Site {
  readonly address: string;
  close(): void;
}

/** `program` imports the files of `dist` from `./package/`. `before` sees each request first, and may answer it. */
export async function servePackage(
  dist: string,
  program: string,
  before: (url: string, response: ServerResponse) => void | Promise<void>,
): Promise<Site> {
  const page = '<!doctype html><script type="module" src="program.js"></script>';
  async function answer(url: string, response: ServerResponse): Promise<void> {
    await before(url, response);
    if (response.writableEnded) return;
    response.setHeader('Content-Type', url === '/' ? 'text/html' : 'text/javascript');
    if (url === '/favicon.ico') response.writeHead(204).end();
    else if (url === '/') response.end(page);
    else if (url === '/program.js') response.end(program);
    else response.end(readFileSync(join(dist, url.replace('/package/', ''))));
  }
  const server = createServer(({ url = '/' }, response) => void answer(url, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    address: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
    close: () => {
      server.close();
    },
  };
}
