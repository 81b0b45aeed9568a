/** Viewer: the files of the built page, in memory. Requests are answered from a map, so that no path of a request reaches the disk. */
import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { errnoCode } from '../formats/system-errors.ts';

export interface PageFile {
  readonly body: Uint8Array<ArrayBuffer>;
  readonly contentType: string;
  readonly etag: string;
}

/** By the path in the address: `/`, `/assets/app.js`. */
export type PageFiles = ReadonlyMap<string, PageFile>;

/** The same relative path in the source tree and in the package. */
export const PAGE_FOLDER = fileURLToPath(new URL('../../dist/page/', import.meta.url));

const DOCUMENT = 'index.html';
const CONTENT_TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.json': 'application/json',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
};

/** All files of the built page; empty if it was not built. */
export async function readPageFiles(folder: string = PAGE_FOLDER): Promise<PageFiles> {
  const files = new Map<string, PageFile>();
  for (const entry of await entriesOf(folder)) {
    const contentType = CONTENT_TYPES[path.extname(entry.name)];
    if (!entry.isFile() || contentType === undefined) continue;
    const file = path.join(entry.parentPath, entry.name);
    const body = Uint8Array.from(await readFile(file));
    const etag = `"${createHash('sha256').update(body).digest('base64url')}"`;
    const address = path.relative(folder, file).split(path.sep).join('/');
    files.set(address === DOCUMENT ? '/' : `/${address}`, { body, contentType, etag });
  }
  return files;
}

async function entriesOf(folder: string) {
  try {
    return await readdir(folder, { recursive: true, withFileTypes: true });
  } catch (error) {
    if (errnoCode(error) === 'ENOENT') return [];
    throw error;
  }
}
