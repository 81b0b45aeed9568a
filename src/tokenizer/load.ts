/** Tokenizer, entry point of the room: files to a `Tokenizer`. */
import * as v from 'valibot';
import { readJson } from '../formats/json.ts';
import { buildTables } from './build-tables.ts';
import { BpeTokenizer } from './bpe-tokenizer.ts';
import { CompiledCache } from './compiled-cache.ts';
import type { CompiledTokenizer } from './compiled-file.ts';
import { parseRules } from './rules.ts';
import { findSpecialTokens } from './special-tokens.ts';
import { idOfPiece } from './tables.ts';
import type { Tokenizer } from './tokenizer.ts';

export interface TokenizerFiles {
  readonly tokenizerJson: string;
  readonly tokenizerConfig?: string | undefined;
  readonly specialTokensMap?: string | undefined;
  /** Where the compiled form of a large tokenizer is kept; default: this user's cache folder of `tracer`. */
  readonly cacheDir?: string | undefined;
}

/**
 * Throws `NotFoundError` when a file is missing or may not be read, `BadFileError` when it is damaged or asks for something
 * that is not supported, naming the field.
 */
export async function loadTokenizer(files: TokenizerFiles): Promise<Tokenizer> {
  const { tokenizerJson } = files;
  const declaring = [files.tokenizerConfig, files.specialTokensMap].filter((path) => path !== undefined);
  const [{ rules, tables }, declarations] = await Promise.all([
    compile(tokenizerJson, files.cacheDir),
    Promise.all(declaring.map(async (name) => ({ name, document: await readJson(name, v.unknown()) }))),
  ]);
  const added = new Map(rules.added_tokens.map(({ content, id }) => [content, id]));
  const idOf = (piece: string) => added.get(piece) ?? idOfPiece(tables, piece);
  const special = findSpecialTokens(declarations, idOf, tokenizerJson);
  return new BpeTokenizer(rules, tables, special, tokenizerJson);
}

async function compile(tokenizerJson: string, cacheDir: string | undefined): Promise<CompiledTokenizer> {
  const cache = await CompiledCache.of(tokenizerJson, cacheDir);
  const kept = await cache?.read();
  if (kept !== undefined) return kept;
  const document = await readJson(tokenizerJson, v.unknown());
  const rules = parseRules(document, tokenizerJson);
  // `parseRules` made sure that there is a model.
  const { model } = document as { readonly model: { readonly vocab?: unknown; readonly merges?: unknown } };
  const compiled = { rules, tables: buildTables(model, rules.added_tokens, tokenizerJson) };
  await cache?.write(compiled);
  return compiled;
}
