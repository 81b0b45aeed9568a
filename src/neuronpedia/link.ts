/** Neuronpedia: the forms that a link to a published graph has. */
import { UsageError } from '../errors.ts';
import { NEURONPEDIA_SITE, type NeuronpediaAddress } from './address.ts';
import { isModelId } from './source-name.ts';

/** A model and the name of one of its graphs, as the site has them. */
export interface GraphName {
  readonly model: string;
  readonly slug: string;
}

export interface GraphLink {
  /** `record`: the site says where the JSON lies; `json`: the address of the JSON itself. */
  readonly place: ({ readonly kind: 'record' } & GraphName) | { readonly kind: 'json'; readonly url: string };
  /** Of the page's address: pins, supernodes and labels. Empty for other forms. */
  readonly query: string;
  /** Id of a saved subgraph that the address names. */
  readonly subgraph: string | null;
}

const FORMS = `${NEURONPEDIA_SITE}/MODEL/graph?slug=NAME, ${NEURONPEDIA_SITE}/api/graph/MODEL/NAME, MODEL/NAME, or the https address of a graph's JSON`;

/**
 * Reads `…/MODEL/graph?slug=NAME&…` and `…/MODEL/graph/NAME` (the page), `…/api/graph/MODEL/NAME`, the address of a JSON file
 * anywhere, and `MODEL/NAME`. Throws `UsageError` for anything else.
 */
export function parseGraphLink(text: string, address: NeuronpediaAddress): GraphLink {
  const short = /^([\w.-]+)\/([\w.-]+)$/.exec(text);
  if (short) return record(text, short[1]!, short[2]!);
  const url = URL.canParse(text) ? new URL(text) : undefined;
  // A name and a password are not shown.
  if (url?.username || url?.password) throw badLink(withoutQuery(url));
  if (!url || !/^https?:$/.test(url.protocol)) throw badLink(text);
  const base = new URL(address.baseUrl);
  const below = url.pathname.startsWith(base.pathname) ? url.pathname.slice(base.pathname.length) : '';
  const parts = isSameSite(url, base)
    ? below
        .split('/')
        .filter((part) => part !== '')
        .map(decoded)
    : [];
  if (parts[0] === 'api' && parts[1] === 'graph' && parts.length === 4)
    return record(withoutQuery(url), parts[2]!, parts[3]!);
  const { searchParams } = url;
  const slug = parts[2] ?? searchParams.get('slug');
  if (parts[1] === 'graph' && parts.length <= 3 && slug) {
    return {
      ...record(withoutQuery(url), parts[0]!, slug),
      query: url.search,
      subgraph: searchParams.get('subgraph') || null,
    };
  }
  if (url.pathname.endsWith('.json')) {
    url.hash = '';
    return { place: { kind: 'json', url: url.href }, query: '', subgraph: null };
  }
  throw badLink(withoutQuery(url), isSameSite(url, base) ? undefined : address);
}

/** Address of a graph's page, with a saved subgraph. */
export function graphPage(
  { baseUrl }: NeuronpediaAddress,
  { model, slug }: GraphName,
  subgraph?: string,
): string {
  const query = new URLSearchParams({ slug, ...(subgraph !== undefined && { subgraph }) });
  return `${baseUrl}/${encodeURIComponent(model)}/graph?${query.toString()}`;
}

/** An address without what is nobody's business: a query may hold a signature. */
export function withoutQuery({ protocol, host, pathname }: URL): string {
  return `${protocol}//${host}${pathname}`;
}

/** Both become parts of a path: `..` would lead to another one. */
function record(text: string, model: string, slug: string): GraphLink {
  if (!isModelId(model) || /^\.*$/.test(slug)) throw badLink(text);
  return { place: { kind: 'record', model, slug }, query: '', subgraph: null };
}

/** The site answers with and without `www.`. */
function isSameSite(url: URL, base: URL): boolean {
  const plain = ({ host }: URL): string => host.replace(/^www\./, '');
  return plain(url) === plain(base);
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

function badLink(text: string, elsewhere?: NeuronpediaAddress): UsageError {
  return new UsageError({
    code: 'bad_link',
    message: `'${text}' is no link to a graph${elsewhere ? ` on ${elsewhere.host}` : ''}`,
    hint: elsewhere ? `Name its site with --base-url, or give ${FORMS}.` : `Give ${FORMS}.`,
  });
}
