/**
 * Labels of features, computed by stated rules. Every activation is described in several ways, from the most special to the
 * most general; the label is the first description that covers enough of a feature's activation. The share that is shown with
 * it is measured on other sentences than those it was chosen on.
 */
import type { FeatureActivity } from '../src/training/feature-activity.ts';
import type { FeatureLabel } from '../src/transcoder/feature-page.ts';
import type { Facts } from './corpus/facts.ts';

/** Share of the activation that a description has to cover, where it is chosen and where it is checked. */
const CHOSEN_SHARE = 0.75;
const CHECKED_SHARE = 0.6;
/** Fewer activations say nothing. */
const FEWEST_EVENTS = 5;
const MIXED_TOKENS = 3;

/** Descriptions of a token at its place, the most special first. */
type Describe = (row: number, position: number) => readonly string[];

/** Makes the descriptions of the tokens of rows. */
export function describer(facts: Facts, rows: readonly (readonly string[])[]): Describe {
  const kinds = new Map<string, string[]>();
  const places = new Map<string, string>();
  const add = (name: string, place: string | null, ...descriptions: string[]): void => {
    // A name of two words is known by its last.
    const word = name.split(' ').at(-1)!;
    kinds.set(word, [...(kinds.get(word) ?? []), ...descriptions]);
    if (place !== null) places.set(word, places.has(word) && places.get(word) !== place ? AMBIGUOUS : place);
  };
  for (const { name, capital, cities } of facts.states) {
    for (const city of [...cities, capital]) add(city, name, `cities of ${name}`, `${name} and its cities`);
    add(name, name, `${name} and its cities`);
    for (const city of cities) add(city, null, 'cities of the United States');
    add(capital, null, 'capitals of states');
    add(name, null, 'states');
  }
  for (const { name, capital, city, language, continent } of facts.countries) {
    add(name, name, `places in ${continent}`, 'countries');
    add(capital, name, `cities of ${name}`, `places in ${continent}`, 'capitals of countries');
    if (city) add(city, name, `cities of ${name}`, `places in ${continent}`, 'cities of countries');
    if (language) add(language, null, 'languages');
  }
  for (const [one, many] of facts.plurals) {
    add(one, null, 'things');
    add(many, null, 'plurals');
  }
  for (const [word, opposite] of facts.opposites)
    for (const w of [word, opposite]) add(w, null, 'words with an opposite');
  for (const { name } of facts.animals) add(name, null, 'animals');
  for (const person of facts.lexicon.person!) add(person, null, 'persons');
  for (const [sequence, words] of Object.entries(facts.sequences))
    for (const word of words) add(word, null, sequence);
  for (const word of facts.number_words) add(word, null, 'numbers');
  return (row, position) => {
    const tokens = rows[row]!;
    const token = tokens[position]!;
    const word = token.trim();
    const next = tokens[position + 1];
    const place = latestPlace(tokens, position, places);
    const ownKinds = kinds.get(word) ?? (/^\d$/.test(word) ? ['digits'] : []);
    const nextKinds = next === undefined ? [] : (kinds.get(next.trim()) ?? []);
    return [
      `the word "${word}"`,
      ...(next === undefined ? [] : [`what comes before "${next.trim()}"`]),
      ...ownKinds,
      ...(place === null ? [] : [`sentences about ${place}`]),
      ...nextKinds.map((kind) => `what comes before ${kind}`),
    ];
  };
}

const AMBIGUOUS = '';

/** The state or country that was named, itself or by a city, most recently. */
function latestPlace(
  tokens: readonly string[],
  position: number,
  places: ReadonlyMap<string, string>,
): string | null {
  for (let i = position; i >= 0; i--) {
    const place = places.get(tokens[i]!.trim());
    if (place !== undefined) return place === AMBIGUOUS ? null : place;
  }
  return null;
}

/**
 * The label of a feature; null for one that is hardly ever active.
 * @param chosen activity on the sentences that the label is made from
 * @param checked activity on others
 */
export function labelOf(
  tokens: readonly (readonly string[])[],
  chosen: { activity: FeatureActivity; describe: Describe },
  checked: { activity: FeatureActivity; describe: Describe },
): FeatureLabel | null {
  if (chosen.activity.values.length < FEWEST_EVENTS) return null;
  const found = shares(chosen.activity, chosen.describe);
  const confirmed = shares(checked.activity, checked.describe);
  // Descriptions were added in the order of the activations; more special ones come first within each.
  const order = [...found.keys()].sort((a, b) => rank(a) - rank(b) || found.get(b)! - found.get(a)!);
  const text = order.find(
    (one) => found.get(one)! >= CHOSEN_SHARE && (confirmed.get(one) ?? 0) >= CHECKED_SHARE,
  );
  if (text !== undefined) return { text, share: rounded(confirmed.get(text)!), automatic: true };
  const words = shares(chosen.activity, (row, position) => [tokens[row]![position]!.trim()]);
  const commonest = [...words].sort((a, b) => b[1] - a[1]).slice(0, MIXED_TOKENS);
  const share = shares(checked.activity, checked.describe);
  return {
    text: `mixed: ${commonest.map(([word]) => `"${word}"`).join(', ')}`,
    share: rounded(commonest.reduce((sum, [word]) => sum + (share.get(`the word "${word}"`) ?? 0), 0)),
    automatic: true,
  };
}

/** 0 is the most special. */
function rank(description: string): number {
  if (description.startsWith('the word')) return 0;
  if (description.startsWith('cities of ')) return 1;
  if (description.endsWith(' and its cities')) return 2;
  if (description.startsWith('what comes before "')) return 3;
  if (description.startsWith('sentences about')) return 4;
  return 5;
}

/** What share of the activation each description covers. */
function shares({ rows, positions, values }: FeatureActivity, describe: Describe): Map<string, number> {
  const mass = new Map<string, number>();
  let total = 0;
  for (const [i, value] of values.entries()) {
    total += value;
    for (const description of new Set(describe(rows[i]!, positions[i]!)))
      mass.set(description, (mass.get(description) ?? 0) + value);
  }
  for (const [description, sum] of mass) mass.set(description, sum / total);
  return mass;
}

const DECIMALS = 100;

function rounded(share: number): number {
  return Math.round(share * DECIMALS) / DECIMALS;
}
