/** Study, validation: how much of the influence on the answer a circuit carries in graphs that were not used to find it. */
import { mean } from 'simple-statistics';
import { Random } from '../random.ts';
import type { KeyedGraph } from './aligned.ts';
import { bootstrap, type Estimate } from './bootstrap.ts';

/** Circuits of features drawn at random, to compare with. */
const N_RANDOM = 20;

export interface Holdout {
  readonly n_found_on: number;
  readonly n_held_out: number;
  /**
   * Of what all features carry beyond none, the part that the circuit's carry, on held-out prompts: 1 as much as all, 0 no more than none.
   * Null where all features carry no more than none.
   */
  readonly recovered: Estimate | null;
  /** The same on the prompts that it was found on, and of as many features drawn from these: mean of 20 draws. */
  readonly recovered_found_on: number | null;
  readonly recovered_random: number | null;
  /** Mean share of the influence that comes from tokens, on held-out prompts, with these features and no others. */
  readonly carried: { readonly circuit: number; readonly all: number; readonly none: number };
}

/**
 * Share of the influence on the answer that arrives at tokens when only some features count: what reaches any other feature, or an error,
 * is not explained. The rule of the replacement score of pinned nodes, on the links that pruning left. 0 to 1.
 */
export function carriedShare({ nodes, edges }: KeyedGraph, isCounted: (key: string) => boolean): number {
  const inputs = nodes.map((): KeyedGraph['edges'][number][] => []);
  for (const edge of edges) inputs[edge.target]!.push(edge);
  const mass = Float64Array.from(nodes, ({ probability }) => probability);
  let tokens = 0;
  let elsewhere = 0;
  // Sources of a node stand before it, but for tokens and errors, which have none.
  const order = [...nodes.keys()].reverse();
  order.sort((a, b) => rank(nodes[a]!) - rank(nodes[b]!));
  for (const node of order) {
    const { kind, key } = nodes[node]!;
    if (kind === 'token') tokens += mass[node]!;
    else if (kind === 'error' || (kind === 'feature' && !isCounted(key))) elsewhere += mass[node]!;
    else {
      const sum = inputs[node]!.reduce((total, { weight }) => total + Math.abs(weight), 0);
      for (const { source, weight } of inputs[node]!) {
        mass[source]! += (mass[node]! * Math.abs(weight)) / sum;
      }
    }
  }
  return tokens + elsewhere === 0 ? 0 : tokens / (tokens + elsewhere);
}

/** Logits pass on first, then features, then what has no input. */
function rank({ kind }: KeyedGraph['nodes'][number]): number {
  return kind === 'logit' ? 0 : kind === 'feature' ? 1 : 2;
}

/** @param circuit keys of its features */
export function validateOnHeldOut(
  found: readonly KeyedGraph[],
  heldOut: readonly KeyedGraph[],
  circuit: ReadonlySet<string>,
  seed: number,
): Holdout {
  const outside = scoresOf(heldOut, circuit);
  const pool = [...new Set(found.flatMap(featureKeys))].sort();
  const random = new Random(seed);
  const draws = Array.from({ length: N_RANDOM }, () => {
    const drawn = new Set(random.shuffled(pool).slice(0, circuit.size));
    return recoveredShare(scoresOf(heldOut, drawn));
  });
  return {
    n_found_on: found.length,
    n_held_out: heldOut.length,
    recovered: bootstrap(heldOut.length, (indices) => recoveredShare(outside, indices), seed),
    recovered_found_on: finite(recoveredShare(scoresOf(found, circuit))),
    recovered_random: finite(mean(draws)),
    carried: {
      circuit: mean(outside.map((one) => one.circuit)),
      all: mean(outside.map((one) => one.all)),
      none: mean(outside.map((one) => one.none)),
    },
  };
}

type Scores = Holdout['carried'];

function scoresOf(graphs: readonly KeyedGraph[], circuit: ReadonlySet<string>): Scores[] {
  return graphs.map((graph) => ({
    circuit: carriedShare(graph, (key) => circuit.has(key)),
    all: carriedShare(graph, () => true),
    none: carriedShare(graph, () => false),
  }));
}

/** A ratio of sums, so that prompts whose features carry little weigh little. */
function recoveredShare(scores: readonly Scores[], indices: readonly number[] = [...scores.keys()]): number {
  let gained = 0;
  let possible = 0;
  for (const index of indices) {
    const { circuit, all, none } = scores[index]!;
    gained += circuit - none;
    possible += all - none;
  }
  return possible > 0 ? gained / possible : NaN;
}

function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}

function featureKeys({ nodes }: KeyedGraph): string[] {
  return nodes.flatMap(({ kind, key }) => (kind === 'feature' ? [key] : []));
}
