/** Measures: the target of each measure, and whether it is met. */
import type { Evaluation } from './evaluate.ts';

export interface Verdict {
  readonly name: string;
  readonly found: number;
  readonly wanted: string;
  readonly isMet: boolean;
}

/** Percent of right answers, model as it is. */
const ANSWERS: Readonly<Record<string, number>> = {
  'state → capital': 98,
  'city → state': 98,
  'two-hop, trained cities': 98,
  'two-hop, held-out cities': 95,
  'country → capital': 98,
  'country two-hop → language': 98,
  opposites: 98,
  plurals: 98,
  sums: 90,
};
const HELD_OUT_REPLACED = 85;
const EXPLAINED = 0.92;
const ACTIVE = 8;
const RECOVERED = 0.99;
const DEAD = 20;
/** Of 40 pairs. */
const SWAPS: Readonly<Record<string, number>> = {
  'US, cities and wording seen': 36,
  'US, wording kept aside': 36,
  'US, wording never seen': 36,
  'US, cities kept aside': 36,
  'US, cities held out': 28,
  'country → capital': 30,
  'country city → capital': 30,
  'country city → language': 30,
};
const REPLACEMENT = 0.7;
const COMPLETENESS = 0.9;

export function judge({ answers, fidelity, swaps, graphs, continuations }: Evaluation): Verdict[] {
  const verdicts: Verdict[] = [];
  const least = (name: string, found: number, target: number): void => {
    verdicts.push({ name, found: rounded(found), wanted: `at least ${target}`, isMet: found >= target });
  };
  const most = (name: string, found: number, target: number): void => {
    verdicts.push({ name, found: rounded(found), wanted: `at most ${target}`, isMet: found <= target });
  };
  for (const [name, target] of Object.entries(ANSWERS))
    least(`answers, ${name}`, answers[name]!.model, target);
  const heldOut = 'two-hop, held-out cities';
  least(`answers, ${heldOut}, all MLPs replaced`, answers[heldOut]!.replaced, HELD_OUT_REPLACED);
  for (const [layer, { explained_variance, L0, dead }] of fidelity.layers.entries()) {
    least(`explained variance, layer ${layer}`, explained_variance, EXPLAINED);
    most(`active features a token, layer ${layer}`, L0, ACTIVE);
    most(`dead features in percent, layer ${layer}`, dead, DEAD);
  }
  least('loss recovered with all MLPs replaced', fidelity.recovered, RECOVERED);
  for (const [name, target] of Object.entries(SWAPS))
    least(`swaps of 40, ${name}`, swaps[name]!.swapped, target);
  for (const { prompt, replacement, completeness } of graphs) {
    least(`replacement score, ${prompt}`, replacement, REPLACEMENT);
    least(`completeness score, ${prompt}`, completeness, COMPLETENESS);
  }
  for (const [beginning, text] of Object.entries(continuations))
    least(`words after "${beginning}"`, text.match(WORD)?.length ?? 0, 1);
  return verdicts;
}

const WORD = /\b[A-Za-z]+\b(?!>)/g; // <eos> is no word

const DECIMALS = 1e4;

function rounded(value: number): number {
  return Math.round(value * DECIMALS) / DECIMALS;
}
