/** Files, helper of readers: names that come from elsewhere (a listing, an index, an archive) and become paths on this disk. */

/** Whether a name is a relative path with forward slashes that stays inside its folder, on every system. */
export function isSafePath(path: string): boolean {
  return (
    path !== '' &&
    ![...path].some((letter) => letter < ' ' || letter === '\\') &&
    path.split('/').every((part) => part !== '' && part !== '.' && part !== '..') &&
    !/^[A-Za-z]:/.test(path)
  );
}
