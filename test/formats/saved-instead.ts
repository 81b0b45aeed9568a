/** What ends up under the name of a file: pages of web sites, Git LFS pointers. */

export const POINTER = 'version https://git-lfs.github.com/spec/v1\noid sha256:00\nsize 1\n';

export const PAGES: readonly (readonly [title: string, bytes: Uint8Array])[] = [
  ['a sign-in page', Buffer.from('<!DOCTYPE html><html><head><title>Sign in</title></head></html>')],
  ['in small letters', Buffer.from('<!doctype html>')],
  ['in capitals, without a type', Buffer.from('<HTML><BODY>404</BODY></HTML>')],
  ['with blank lines in front', Buffer.from('\r\n\n\t  <html lang="en">')],
  ['with a byte order mark', Buffer.from('\ufeff<!DOCTYPE html>')],
  ['with both', Buffer.from('\ufeff \n<!Doctype HTML>')],
  ['with a comment', Buffer.from('<!-- served by cache 7 -->\n<html>')],
  ['as XHTML', Buffer.from('<?xml version="1.0"?><!DOCTYPE html PUBLIC "-//W3C//DTD XHTML 1.0 Strict//EN">')],
  ['only a body', Buffer.from('<body>Access denied</body>')],
  ['in UTF-16', Buffer.from('\ufeff<!DOCTYPE html><html></html>', 'utf16le')],
  ['in UTF-16 of the other order', Buffer.from('\ufeff<!DOCTYPE html><html></html>', 'utf16le').swap16()],
  ['in Latin-1', Buffer.from('<html><title>Accès refusé</title>', 'latin1')],
];
