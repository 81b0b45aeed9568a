/**
 * Engine: the viewer's page as one file that works from disk: script, style and data are inside, andits policy blocks
 * all requests. Used by `graph export --format html` and by the server.
 */
import { createHash } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { NotFoundError } from '../../errors.ts';
import { errnoCode } from '../../formats/system-errors.ts';
import { xmlText } from '../../graph/export.ts';

/** The data in the page; its fields are those of `ExportedPage` in the viewer's interface. */
export interface EmbeddedPage {
  readonly version: string;
  readonly slug: string;
  readonly opened: object;
  readonly features: object;
}

const PAGE = new URL('../../../dist/page/', import.meta.url);
const SCRIPT_TAG = '<script type="module" src="./assets/app.js"></script>';
const STYLE_TAG = '<link rel="stylesheet" href="./assets/app.css">';
const FIRST_TAG = '<meta charset="utf-8" />';
const DATA_ID = 'tracer-export';

/**
 * The document. Its data is in a script element that is never run, with everything escaped that could end it; the policy
 * allows one script and one style, by their hashes. Throws `NotFoundError` where the page was not built.
 */
export async function exportedHtml(
  page: EmbeddedPage,
  { title = page.slug }: { readonly title?: string } = {},
): Promise<string> {
  const [document, script, style] = await Promise.all([
    readPage('index.html'),
    readPage('assets/app.js').then(inlineScript),
    readPage('assets/app.css').then((text) => text.replace(/<\/(style)/gi, '<\\/$1')),
  ]);
  const policy = [
    "default-src 'none'",
    `script-src '${hashOf(script)}'`,
    `style-src '${hashOf(style)}'`,
    'img-src data: blob:',
    "base-uri 'none'",
    "form-action 'none'",
  ].join('; ');
  const data = `<script type="application/json" id="${DATA_ID}">${inlineJson(page)}</script>`;
  const parts: readonly (readonly [tag: string | RegExp, text: string])[] = [
    [FIRST_TAG, `${FIRST_TAG}\n    <meta http-equiv="Content-Security-Policy" content="${policy}" />`],
    [/<title>[^<]*<\/title>/, `<title>${xmlText(title)} – tracer</title>`],
    [STYLE_TAG, `<style>${style}</style>`],
    [SCRIPT_TAG, `${data}\n    <script type="module">${script}</script>`],
  ];
  // All ranges are found before anything is inserted, since script and data may contain any of the tags as text.
  const ranges = parts
    .map(([tag, text]) => ({ ...placeOf(document, tag), text }))
    .sort((a, b) => a.start - b.start);
  let html = '';
  let done = 0;
  for (const { start, stop, text } of ranges) {
    html += document.slice(done, start) + text;
    done = stop;
  }
  return html + document.slice(done);
}

async function readPage(name: string): Promise<string> {
  const file = fileURLToPath(new URL(name, PAGE));
  try {
    return await readFile(file, 'utf8');
  } catch (cause) {
    if (errnoCode(cause) !== 'ENOENT') throw cause;
    throw new NotFoundError({
      code: 'page_missing',
      message: `${file} is missing: the viewer's page was not built`,
      hint: 'Run `npm run build`.',
      cause,
    });
  }
}

function placeOf(document: string, tag: string | RegExp): { start: number; stop: number } {
  const start = typeof tag === 'string' ? document.indexOf(tag) : document.search(tag);
  const length = typeof tag === 'string' ? tag.length : (tag.exec(document)?.[0].length ?? 0);
  if (start >= 0) return { start, stop: start + length };
  throw new NotFoundError({
    code: 'page_missing',
    message: `the viewer's page has no ${String(tag)}: it was built by another version`,
    hint: 'Run `npm run build`.',
  });
}

/** Escapes text that ends a script element or hides its end; in strings and regular expressions `\x3C` is `<`. */
function inlineScript(text: string): string {
  return text.replace(/<(?=\/script|script|!--)/gi, '\\x3C');
}

/** JSON that no HTML parser finds a tag in, and that is also a literal of older JavaScript. */
function inlineJson(value: object): string {
  return JSON.stringify(value).replace(
    /[<>&\u2028\u2029]/g,
    (character) => `\\u${character.charCodeAt(0).toString(16).padStart(4, '0')}`,
  );
}

function hashOf(text: string): string {
  return `sha256-${createHash('sha256').update(text, 'utf8').digest('base64')}`;
}
