/**
 * Picture, address: the query parameters that Neuronpedia uses, so that a link can be shared and opened again.
 * `pruningThreshold` is the node threshold; `edgeThreshold` is ours, since Neuronpedia does not prune edges.
 */

export interface AddressState {
  readonly slug: string | null;
  readonly clickedId: string;
  readonly pinnedIds: readonly string[];
  /** Each: its name, then node ids. */
  readonly supernodes: readonly (readonly string[])[];
  readonly sg_pos: string;
  /** Labels of single nodes. */
  readonly clerps: Readonly<Record<string, string>>;
  readonly pruningThreshold: number | null;
  readonly edgeThreshold: number | null;
}

/** The parts that the address has; the others are taken from the saved annotations. Invalid parts are ignored. */
export function readAddress(query: string): Partial<AddressState> {
  const params = new URLSearchParams(query);
  const given: { -readonly [K in keyof AddressState]?: AddressState[K] } = {};
  const text = (name: string) => params.get(name);
  const slug = text('slug');
  if (slug !== null && slug !== '') given.slug = slug;
  const clickedId = text('clickedId');
  if (clickedId !== null) given.clickedId = clickedId;
  const pinned = text('pinnedIds');
  if (pinned !== null) given.pinnedIds = pinned.split(',').filter((id) => id !== '');
  const supernodes = rows(text('supernodes'));
  if (supernodes !== null) given.supernodes = supernodes.filter((row) => row.length > 1);
  const sgPos = text('sg_pos');
  if (sgPos !== null) given.sg_pos = sgPos;
  const clerps = rows(text('clerps'));
  if (clerps !== null) given.clerps = Object.fromEntries(clerps.map(([id = '', label = '']) => [id, label]));
  const pruning = fraction(text('pruningThreshold'));
  if (pruning !== null) given.pruningThreshold = pruning;
  const edge = fraction(text('edgeThreshold'));
  if (edge !== null) given.edgeThreshold = edge;
  return given;
}

/**
 * The query of a state. Unknown parameters of `before` (`densityThreshold`) are kept, the token is not.
 * @param withPins false leaves pins and groups out, so that the address opens what is saved or suggested.
 */
export function writeAddress(state: AddressState, before: string, withPins = true): string {
  const params = new URLSearchParams(before);
  const put = (name: string, value: string) => {
    if (value === '') params.delete(name);
    else params.set(name, value);
  };
  params.delete('token'); // in a cookie by now; it must not be in a link that is shared
  put('slug', state.slug ?? '');
  put('clickedId', state.clickedId);
  // Present even when empty, so that it has precedence over the saved pins.
  if (withPins) params.set('pinnedIds', state.pinnedIds.join(','));
  else params.delete('pinnedIds');
  put('supernodes', state.supernodes.length === 0 || !withPins ? '' : JSON.stringify(state.supernodes));
  put('sg_pos', state.sg_pos);
  const clerps = Object.entries(state.clerps);
  put('clerps', clerps.length === 0 ? '' : JSON.stringify(clerps));
  put('pruningThreshold', state.pruningThreshold === null ? '' : String(state.pruningThreshold));
  put('edgeThreshold', state.edgeThreshold === null ? '' : String(state.edgeThreshold));
  return params.toString();
}

/** A JSON list of lists of strings; null when the text is something else. */
function rows(text: string | null): string[][] | null {
  if (text === null) return null;
  try {
    const value: unknown = JSON.parse(text);
    if (!Array.isArray(value)) return null;
    return value.flatMap((row: unknown) =>
      Array.isArray(row) && row.every((item) => typeof item === 'string') ? [row] : [],
    );
  } catch {
    return null; // a truncated link still opens, without this part
  }
}

function fraction(text: string | null): number | null {
  const value = text === null || text === '' ? NaN : Number(text);
  return value >= 0 && value <= 1 ? value : null;
}
