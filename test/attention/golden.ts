/** The golden data of attention: runs of the fixtures with their cases, edges and removals. */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { expectValues, readTensors, type Expected } from '../support/tensors.ts';
import { type Fixture, type PromptName } from '../support/golden.ts';

const ROOT = path.join(import.meta.dirname, '../fixtures/golden/attention');

export const ATTENTION_FIXTURES = [
  ['tiny-a', 'tiny-a'],
  ['tiny-b', 'tiny-b'],
  ['gpt2', 'families/gpt2'],
  ['qwen3', 'families/qwen3'],
  ['gpt-neox', 'families/gpt-neox'],
] as const satisfies readonly (readonly [string, Fixture])[];

export type Kind =
  | 'scores'
  | 'marginals and totals'
  | 'pairs'
  | 'groups'
  | 'loadings'
  | 'logit effects'
  | 'removal changes'
  | 'removal logits'
  | 'removal activations';

export interface GoldenCase {
  readonly id: string;
  readonly layer: number;
  readonly head: number;
  readonly query: number;
  readonly key: number;
  readonly visible: readonly [number, number];
  readonly window: number | null;
  readonly score: number;
  readonly capped: number;
  readonly cap_factor: number;
  readonly pattern: number;
  readonly contrasts: {
    readonly mean: number | null;
    readonly pattern: number | null;
    readonly key: number | null;
  };
  readonly other_key: number | null;
  readonly matrix: boolean;
}

export interface GoldenEdge {
  readonly id: string;
  readonly source: string;
  readonly target: string;
  readonly weight: number;
  readonly direct: number;
}

export interface GoldenRemoval {
  readonly id: string;
  readonly layer: number;
  readonly head: number;
  readonly query: number | null;
  readonly key: number | null;
  readonly predicted: readonly number[];
  readonly change: Readonly<Record<'all' | 'attention' | 'free', readonly number[]>>;
}

export interface GoldenRun {
  readonly set: string;
  readonly prompt: PromptName;
  readonly text: string;
  readonly token_ids: number[];
  readonly graph: string;
  readonly logit_token_ids: number[];
  readonly n_sources: number;
  readonly sources: readonly string[];
  readonly first_source: Readonly<Record<string, number>>;
  readonly groups: { readonly layer: readonly string[]; readonly position: readonly string[] };
  readonly cases: readonly GoldenCase[];
  readonly edges: readonly GoldenEdge[];
  readonly removals: readonly GoldenRemoval[];
}

interface GoldenFile {
  readonly tolerance: Readonly<Record<Kind, number>>;
  readonly runs: readonly GoldenRun[];
}

/** One run with what compares numbers with those of it. */
export interface RunOfFixture {
  readonly fixture: Fixture;
  readonly run: GoldenRun;
  /** Throws unless numbers are those stored under a key of the run. */
  readonly expectStored: (key: string, found: ArrayLike<number>, kind: Kind) => Promise<void>;
  readonly expectNumbers: (
    name: string,
    found: ArrayLike<number>,
    expected: ArrayLike<number>,
    kind: Kind,
  ) => void;
  readonly stored: (key: string) => Promise<Expected>;
  readonly title: string;
}

export function attentionRuns(): RunOfFixture[] {
  return ATTENTION_FIXTURES.flatMap(([name, fixture]) => {
    const { runs, tolerance } = JSON.parse(
      readFileSync(path.join(ROOT, `${name}.json`), 'utf8'),
    ) as GoldenFile;
    let tensors: Promise<Map<string, Expected>> | undefined;
    const all = (): Promise<Map<string, Expected>> =>
      (tensors ??= readTensors(path.join(ROOT, `${name}.safetensors`)));
    return runs.map((run): RunOfFixture => {
      const stored = async (key: string): Promise<Expected> => {
        const found = (await all()).get(`${run.set}/${run.prompt}/${key}`);
        if (!found) throw new Error(`${name} has no ${run.set}/${run.prompt}/${key}`);
        return found;
      };
      return {
        fixture,
        run,
        title: `${name} ${run.set} ${run.prompt}`,
        stored,
        expectNumbers: (what, found, expected, kind) => expectValues(what, found, expected, tolerance[kind]),
        expectStored: async (key, found, kind) =>
          expectValues(key, found, (await stored(key)).values, tolerance[kind]),
      };
    });
  });
}
