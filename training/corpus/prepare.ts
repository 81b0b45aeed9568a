/** Corpus: from facts to token rows. Only tokens that occur are trained; they are numbered among themselves. */
import { writeFile, mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import { Random } from '../../src/training/random.ts';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { buildTokenizer, SPECIAL_TOKENS_MAP, TOKENIZER_CONFIG } from '../tokenizer.ts';
import { placeNames, RELATIONS, type Facts } from './facts.ts';
import { allSentences, type Corpus } from './sentences.ts';
import type { TokenizedCorpus } from './stream.ts';

export interface Prepared {
  readonly facts: Facts;
  readonly corpus: Corpus;
  readonly tokenizer: Tokenizer;
  /** Token ids that occur, ascending: the trained vocabulary. */
  readonly used: Int32Array;
  /** From a token id to its place in `used`. */
  readonly placeOf: ReadonlyMap<number, number>;
  readonly tokenized: TokenizedCorpus;
}

/** Of the sentences that are drawn at random. All runs have the same corpus; their own seeds are for what they do with it. */
const CORPUS_SEED = 1;

/** Writes the tokenizer into `folder` and reads it back the way `tracer` does. */
export async function prepare(facts: Facts, folder: string): Promise<Prepared> {
  const corpus = allSentences(facts, new Random(CORPUS_SEED));
  const texts = RELATIONS.flatMap((relation) => corpus[relation]);
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
  return { facts, corpus, tokenizer, ...tokenize(corpus, tokenizer) };
}

/** The same for a tokenizer that is there already. */
export function prepareWith(facts: Facts, tokenizer: Tokenizer): Prepared {
  const corpus = allSentences(facts, new Random(CORPUS_SEED));
  return { facts, corpus, tokenizer, ...tokenize(corpus, tokenizer) };
}

function tokenize(corpus: Corpus, tokenizer: Tokenizer) {
  const ids = RELATIONS.map((relation) =>
    corpus[relation].map((text) => ({ first: tokenizer.encode(text), later: tokenizer.encode(` ${text}`) })),
  );
  const seen = new Set<number>([tokenizer.bosId, tokenizer.eosId]);
  for (const relation of ids) {
    for (const { first, later } of relation) for (const id of [...first, ...later]) seen.add(id);
  }
  const used = Int32Array.from(seen).sort();
  const placeOf = new Map(Array.from(used, (id, place) => [id, place]));
  const places = (list: readonly number[]): number[] => list.map((id) => placeOf.get(id)!);
  const sentences = Object.fromEntries(
    RELATIONS.map((relation, i) => [
      relation,
      ids[i]!.map(({ first, later }) => ({ first: places(first), later: places(later) })),
    ]),
  ) as unknown as TokenizedCorpus['sentences'];
  return {
    used,
    placeOf,
    tokenized: { sentences, bos: placeOf.get(tokenizer.bosId)!, eos: placeOf.get(tokenizer.eosId)! },
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
