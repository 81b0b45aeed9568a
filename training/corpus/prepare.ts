/** Corpus: from facts to token rows. Only tokens that occur are trained; they are numbered from 0 in the order of their ids. */
import { writeFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Random } from '../../src/random.ts';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { buildTokenizer, SPECIAL_TOKENS_MAP, TOKENIZER_CONFIG } from '../tokenizer.ts';
import { placeNames, RELATIONS, type Facts } from './facts.ts';
import { partsOf, type Parts } from './held-out.ts';
import { allSentences, type Corpus } from './sentences.ts';
import type { TokenizedCorpus } from './stream.ts';

export interface Prepared {
  readonly facts: Facts;
  readonly parts: Parts;
  readonly tokenizer: Tokenizer;
  /** Token ids that occur, ascending: the trained vocabulary. */
  readonly used: Int32Array;
  /** From a token id to its index in `used`. */
  readonly placeOf: ReadonlyMap<number, number>;
  readonly trained: TokenizedCorpus;
  readonly heldOut: TokenizedCorpus;
}

/** All runs have the same corpus and the same held-out part; the seed of a run is for all other draws. */
const CORPUS_SEED = 1;
const HELD_OUT_SEED = 2;

/** Writes the tokenizer into `folder` and reads it back the way `tracer` does. */
export async function prepare(facts: Facts, folder: string): Promise<Prepared> {
  const corpus = allSentences(facts, new Random(CORPUS_SEED));
  const texts = RELATIONS.flatMap((relation) => corpus[relation].map(({ text }) => text));
  await mkdir(folder, { recursive: true });
  const tokenizerJson = join(folder, 'tokenizer.json');
  const tokenizerConfig = join(folder, 'tokenizer_config.json');
  const specialTokensMap = join(folder, 'special_tokens_map.json');
  await writeFile(tokenizerJson, JSON.stringify(buildTokenizer(texts)));
  await writeFile(tokenizerConfig, `${JSON.stringify(TOKENIZER_CONFIG, null, 2)}\n`);
  await writeFile(specialTokensMap, `${JSON.stringify(SPECIAL_TOKENS_MAP, null, 2)}\n`);
  const tokenizer = await loadTokenizer({
    tokenizerJson,
    tokenizerConfig,
    specialTokensMap,
    cacheDir: join(folder, 'compiled'),
  });
  return preparedOf(facts, corpus, tokenizer);
}

/** The same for a tokenizer that is there already. */
export function prepareWith(facts: Facts, tokenizer: Tokenizer): Prepared {
  return preparedOf(facts, allSentences(facts, new Random(CORPUS_SEED)), tokenizer);
}

function preparedOf(facts: Facts, corpus: Corpus, tokenizer: Tokenizer): Prepared {
  const seen = new Set<number>([tokenizer.bosId, tokenizer.eosId]);
  const encoded = new Map(
    RELATIONS.flatMap((relation) => corpus[relation]).map(({ text }) => {
      const ids = { first: tokenizer.encode(text), later: tokenizer.encode(` ${text}`) };
      for (const id of [...ids.first, ...ids.later]) seen.add(id);
      return [text, ids] as const;
    }),
  );
  const used = Int32Array.from(seen).sort();
  const placeOf = new Map(Array.from(used, (id, place) => [id, place]));
  const places = (ids: readonly number[]): number[] => ids.map((id) => placeOf.get(id)!);
  const tokenized = (part: Corpus): TokenizedCorpus => ({
    sentences: Object.fromEntries(
      RELATIONS.map((relation) => [
        relation,
        part[relation].map(({ text }) => {
          const { first, later } = encoded.get(text)!;
          return { first: places(first), later: places(later) };
        }),
      ]),
    ) as unknown as TokenizedCorpus['sentences'],
    bos: placeOf.get(tokenizer.bosId)!,
    eos: placeOf.get(tokenizer.eosId)!,
  });
  const parts = partsOf(facts, corpus, new Random(HELD_OUT_SEED));
  return {
    facts,
    parts,
    tokenizer,
    used,
    placeOf,
    trained: tokenized(parts.trained),
    heldOut: tokenized(parts.heldOut),
  };
}

/** Which trained tokens are words of names after a space: cities, capitals, states, countries. */
export function nameTokens({ facts, tokenizer, placeOf, used }: Prepared): Uint8Array {
  const frozen = new Uint8Array(used.length);
  for (const name of placeNames(facts)) {
    for (const id of tokenizer.encode(` ${name}`)) frozen[placeOf.get(id)!] = 1;
  }
  return frozen;
}
