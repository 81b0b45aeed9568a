/** Suggest, step 3: names of boxes, from labels where they agree, else from what the features read and write. */
import { featureOf, type Graph } from '../graph/graph.ts';
import type { Influence } from '../graph/influence.ts';
import { linkOf } from './box-links.ts';
import { rarityOf, type LabelWords } from './label-words.ts';
import { nameOfToken, shortened } from './words.ts';

/** A description names a box if features of so much of its influence have it. */
const AGREED = 0.5;
/** Added to the rarity of words, so that where all labels are alike their description counts as well. */
const COMMON = 0.1;
/** Links that are this much of the inputs of the answer, or of the box, name the box. */
const SAYS = 0.1;

export interface NamedFeature {
  readonly node: number;
  readonly influence: number;
  readonly words: LabelWords;
}

export interface GroupName {
  readonly text: string;
  /**
   * Whether it leaves open what the features are about: not where it is a word that they read, nor at the last position, where they
   * are about what comes next.
   */
  readonly isOpen: boolean;
}

/** The name of a group of features. */
export function nameOfGroup(
  small: Graph,
  spread: Influence,
  logits: readonly number[],
  members: readonly NamedFeature[],
): GroupName {
  const last = members.filter(({ node }) => featureOf(small, node).position === small.layout.n_pos - 1);
  const isLast = last.length === members.length;
  const agreed = agreedDescription(members, isLast);
  const text = agreed?.text ?? nameByLinks(small, spread, logits, members, isLast);
  return { text: shortened(text), isOpen: last.length === 0 && (agreed?.isOpen ?? true) };
}

/** `Texas (2)` for the second box of a name. */
export function withoutRepetition(names: readonly string[]): string[] {
  const seen = new Map<string, number>();
  return names.map((name) => {
    const count = (seen.get(name) ?? 0) + 1;
    seen.set(name, count);
    return count === 1 ? name : `${name} (${count})`;
  });
}

/** Of the descriptions that enough of the features have, the one that tells most; null without. */
function agreedDescription(members: readonly NamedFeature[], isLast: boolean): GroupName | null {
  const total = members.reduce((sum, { influence }) => sum + influence, 0);
  const found = new Map<string, { name: GroupName; covered: number; told: number }>();
  for (const { influence, words } of members) {
    for (const part of words.parts) {
      const name = nameOfDescription(part, isLast);
      if (name === null) continue;
      const { covered, told } = found.get(name.text) ?? { covered: 0, told: 0 };
      // A feature of several descriptions is about each of them in part.
      const share = influence / words.parts.length;
      found.set(name.text, {
        name,
        covered: covered + influence,
        told: told + share * (COMMON + rarityOf(part, words)),
      });
    }
  }
  const agreed = [...found.values()].filter(({ covered }) => covered >= AGREED * total);
  agreed.sort((a, b) => b.told - a.told || (a.name.text < b.name.text ? -1 : 1));
  return agreed[0]?.name ?? null;
}

/**
 * The forms that labels made by rules have (configs/embedded/README.md); any other label is its own name. What comes next is what
 * features of the last position say, and where others are.
 */
function nameOfDescription(part: string, isLast: boolean): GroupName | null {
  const word = /^(?:the word )?"(.*)"$/.exec(part)?.[1];
  if (word !== undefined) return word.trim() === '' ? null : { text: `the word ${word}`, isOpen: false };
  const next = /^what comes before (.*)$/.exec(part)?.[1];
  if (next === undefined) return { text: part, isOpen: true };
  const quoted = /^"(.*)"$/.exec(next)?.[1] ?? next;
  if (!/[\p{L}\p{N}]/u.test(quoted)) return null;
  return { text: `${isLast ? 'say' : 'before'} ${quoted}`, isOpen: true };
}

/** `say Austin` for features that speak for the answer, `reads Dallas` for those that a token makes active, else where they are. */
function nameByLinks(
  small: Graph,
  spread: Influence,
  logits: readonly number[],
  members: readonly NamedFeature[],
  isLast: boolean,
): string {
  const nodes = members.map(({ node }) => node);
  const { token_strings, logit_labels } = small.provenance;
  const { tokens, logits: outputs } = small.layout;
  const positions = nodes.map((node) => featureOf(small, node).position);
  const said = logits
    .map((logit) => ({ logit, share: linkOf(small, spread, nodes, [logit]).share }))
    .sort((a, b) => b.share - a.share)[0];
  if (said !== undefined && said.share >= SAYS && isLast) {
    return `say ${nameOfToken(logit_labels[said.logit - outputs.start]!)}`;
  }
  const read = [...new Set(positions)]
    .map((position) => ({
      position,
      share: Math.abs(linkOf(small, spread, [tokens.start + position], nodes).share),
    }))
    .sort((a, b) => b.share - a.share)[0]!;
  const token = nameOfToken(token_strings[read.position]!);
  return `${read.share >= SAYS ? 'reads' : 'at'} ${token}`;
}
