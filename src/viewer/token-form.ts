/** Viewer, access: the form that a browser gets without the token, if reading needs the token. */
import { xmlText } from '../graph/export.ts';

/** @param query of the request; its other parameters are kept */
export function tokenForm(query: URLSearchParams): string {
  const kept = [...query]
    .filter(([name]) => name !== 'token')
    .map(([name, value]) => `<input type="hidden" name="${xmlText(name)}" value="${xmlText(value)}">`);
  const words = query.has('token')
    ? 'The token is not that of this server, which makes a new one at every start.'
    : 'This server needs its token.';
  return `<!doctype html>
<html lang="en">
  <meta charset="utf-8">
  <meta name="viewport" content="width=device-width">
  <meta name="color-scheme" content="light dark">
  <title>tracer</title>
  <h1>tracer</h1>
  <p>${words} <code>tracer serve</code> printed it at the end of the address, after <code>?token=</code>.</p>
  <form method="get">${kept.join('')}
    <label>Token <input name="token" type="password" required autofocus autocomplete="off"></label>
    <button>Open</button>
  </form>
</html>
`;
}
