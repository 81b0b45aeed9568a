/** Paper, words: numbers, tokens and names as the page writes them. */
import { lettersOf, shownLabel, shownToken } from '../picture/shown.ts';
import { code, type Line, type Piece } from './blocks.ts';
import type { PaperBox, PaperExample, PaperMember } from './paper.ts';

const DIGITS = 4;
const PERCENT = 100;
const SMALL = 1e-4;
/** What is not there. */
export const NOTHING: Line = ['–'];
/** Letters of a token and a label; what is longer is cut, so that no row fills a page. */
const LONGEST = { token: 60, label: 300 } as const;

/** Four significant digits, in exponent form only where it is shorter. */
export function decimal(value: number): string {
  if (value === 0 || !Number.isFinite(value)) return String(value);
  const rounded = Number(value.toPrecision(DIGITS));
  return Math.abs(rounded) < SMALL ? rounded.toExponential() : String(rounded);
}

/** A change, with its sign. */
export function signed(value: number): string {
  return value > 0 ? `+${decimal(value)}` : decimal(value);
}

export function percent(share: number): string {
  const value = share * PERCENT;
  return `${value !== 0 && value < 0.1 ? '< 0.1' : value.toFixed(1)} %`;
}

/** 1,234 */
export function count(value: number): string {
  return value.toLocaleString('en-US');
}

export function tokenPiece(token: string): Piece {
  return code(shownToken(token, LONGEST.token));
}

export function shownName(name: string): string {
  return shownLabel(name, LONGEST.label);
}

/** `1/392`, `error 3`, or what the token is. */
export function memberName({ kind, layer, feature, token, id }: PaperMember): Piece {
  switch (kind) {
    case 'feature':
      return code(feature === null ? shownName(id) : `${layer}/${feature}`);
    case 'error':
      return `error of layer ${layer}`;
    case 'token':
    case 'target':
      return tokenPiece(token);
  }
}

/** Layers of its features and errors: 3, 1–2. */
export function layersOf({ members }: PaperBox): string {
  return span(members.flatMap(({ layer }) => layer ?? []));
}

/** Tokens that its nodes are on, in the order of the prompt, each position once. */
export function placesOf({ members }: PaperBox): Line {
  const at = new Map(members.map(({ position, token }) => [position, token]));
  const places = [...at].sort(([a], [b]) => a - b);
  return places.flatMap(([position, token], i) => [
    ...(i === 0 ? [] : [', ']),
    tokenPiece(token),
    ` at ${position}`,
  ]);
}

function span(values: readonly number[]): string {
  if (values.length === 0) return '';
  const [low, high] = values.reduce(([a, b], value) => [Math.min(a, value), Math.max(b, value)], [
    Infinity,
    -Infinity,
  ] as [number, number]);
  return low === high ? String(low) : `${low}–${high}`;
}

/** An excerpt on one line, with the strongest token marked. */
export function exampleLine({ tokens, strongest, is_cut }: PaperExample): Line {
  const text = (part: readonly string[]): string => shownLabel(part.join(''), Infinity);
  const [before, at, after] = [
    text(tokens.slice(0, strongest)),
    text([tokens[strongest] ?? '']),
    text(tokens.slice(strongest + 1)),
  ];
  // A space inside the mark would look like a part of the word.
  const word = at.trim();
  const [lead, trail] = word === '' ? ['', ''] : [/^ */.exec(at)![0], / *$/.exec(at)![0]];
  return [
    (is_cut.before ? '…' : '') + before + lead,
    { kind: 'mark', text: word === '' ? shownToken(at, LONGEST.token) : word },
    trail + after + (is_cut.after ? '…' : ''),
  ];
}

/** Whether a text is worth a line: anything that is seen. */
export function isSeen(text: string): boolean {
  return lettersOf(text.trim()) > 0;
}
