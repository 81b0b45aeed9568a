/** Suggest, labels: their parts, and which words of them are rare enough to tell features apart. */

/** A label that is several descriptions (`docs/features.md`): `mixed: ONE; TWO`. */
const MIXED = /^mixed:\s*/;
/** What is quoted is one word, whatever it is. */
const WORD = /"[^"]*"|[\p{L}\p{N}]{2,}/gu;

export interface LabelWords {
  /** The descriptions in a label; none where a feature has no label. */
  readonly parts: readonly string[];
  /** By word: ln of how much rarer it is than a word of every label. */
  readonly rarity: ReadonlyMap<string, number>;
}

/** Of each label, in their order; undefined stands for a feature without one. */
export function labelWords(labels: readonly (string | undefined)[]): LabelWords[] {
  const parts = labels.map(partsOf);
  const words = parts.map((texts) => new Set(texts.flatMap(wordsOf)));
  const counts = new Map<string, number>();
  for (const own of words) for (const word of own) counts.set(word, (counts.get(word) ?? 0) + 1);
  const total = words.filter((own) => own.size > 0).length;
  return words.map((own, i) => ({
    parts: parts[i]!,
    rarity: new Map(Array.from(own, (word) => [word, Math.log((1 + total) / (1 + counts.get(word)!))])),
  }));
}

/** Cosine of the words of two labels, weighted by rarity, 0 to 1; null where one has no word that tells anything. */
export function wordLikeness(a: LabelWords, b: LabelWords): number | null {
  const norm = ({ rarity }: LabelWords): number =>
    Math.sqrt([...rarity.values()].reduce((sum, value) => sum + value * value, 0));
  const norms = norm(a) * norm(b);
  if (norms === 0) return null;
  let both = 0;
  for (const [word, value] of a.rarity) both += value * (b.rarity.get(word) ?? 0);
  return Math.min(1, both / norms);
}

/** Rarity of the rarest word of a description. */
export function rarityOf(part: string, { rarity }: LabelWords): number {
  return wordsOf(part).reduce((most, word) => Math.max(most, rarity.get(word) ?? 0), 0);
}

function partsOf(label: string | undefined): string[] {
  const text = label?.trim() ?? '';
  if (text === '') return [];
  return MIXED.test(text)
    ? text
        .replace(MIXED, '')
        .split(';')
        .map((part) => part.trim())
        .filter((part) => part !== '')
    : [text];
}

function wordsOf(text: string): string[] {
  return text.toLowerCase().match(WORD) ?? [];
}
