/** Files, helper of readers: names that come from elsewhere (a listing, an index, an archive) and become paths on this disk. */
import { posix } from 'node:path';

/** Whether a name is a relative path with forward slashes that stays inside its folder, on every system. */
export function isSafePath(path: string): boolean {
  return (
    path !== '' &&
    ![...path].some((letter) => letter < ' ' || letter === '\\') &&
    path.split('/').every((part) => part !== '' && part !== '.' && part !== '..') &&
    !/^[A-Za-z]:/.test(path)
  );
}

/** The plain spelling of a path inside a folder (`./a//b/../c` is `a/c`); undefined for one that leads out of it. */
export function pathInside(path: string): string | undefined {
  const plain = posix.normalize(path);
  return isSafePath(plain) ? plain : undefined;
}
