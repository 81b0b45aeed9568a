/** Files, helper: paths that a file from elsewhere names. */
import { posix } from 'node:path';

/** A relative path with forward slashes that stays inside its folder: what a repository's file names must be. */
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
