/** Tokenizer, part of step 4: a text split by the matches of an expression. */
import { unreachable } from '../errors.ts';

/** What becomes of the matches: the names of the `tokenizers` library. */
export const SPLIT_BEHAVIORS = [
  'Removed',
  'Isolated',
  'MergedWithPrevious',
  'MergedWithNext',
  'Contiguous',
] as const;
export type SplitBehavior = (typeof SPLIT_BEHAVIORS)[number];

interface Segment {
  readonly text: string;
  readonly isMatch: boolean;
}

/**
 * `expression` has the flag `g`; `invert` takes the text between the matches for the matches. A match next to another match is
 * merged with nothing.
 */
export function split(
  text: string,
  expression: RegExp,
  { behavior, invert }: { readonly behavior: SplitBehavior; readonly invert: boolean },
): string[] {
  const all = segments(text, expression).map((segment) => ({
    ...segment,
    isMatch: segment.isMatch !== invert,
  }));
  switch (behavior) {
    case 'Removed':
      return all.filter(({ isMatch }) => !isMatch).map((segment) => segment.text);
    case 'Isolated':
      return all.map((segment) => segment.text);
    case 'MergedWithPrevious':
      return joined(all, (segment, before) => segment.isMatch && !before.isMatch);
    case 'MergedWithNext':
      return joined(all, (segment, before) => before.isMatch && !segment.isMatch);
    case 'Contiguous':
      return joined(all, (segment, before) => segment.isMatch === before.isMatch);
    default:
      return unreachable(behavior);
  }
}

function segments(text: string, expression: RegExp): Segment[] {
  const found: Segment[] = [];
  let done = 0;
  for (const { 0: match, index } of text.matchAll(expression)) {
    if (done < index) found.push({ text: text.slice(done, index), isMatch: false });
    found.push({ text: match, isMatch: true });
    done = index + match.length;
  }
  if (done < text.length) found.push({ text: text.slice(done), isMatch: false });
  return found;
}

function joined(all: readonly Segment[], belongs: (segment: Segment, before: Segment) => boolean): string[] {
  const texts: string[] = [];
  all.forEach((segment, i) => {
    if (i > 0 && belongs(segment, all[i - 1]!)) texts[texts.length - 1] += segment.text;
    else texts.push(segment.text);
  });
  return texts;
}
