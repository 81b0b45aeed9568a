/** Tokenizer, entry point of the room: files to a `Tokenizer`. */
import * as v from 'valibot';
import { unreachable } from '../errors.ts';
import type { ByteSource } from '../formats/byte-source.ts';
import { jsonObject, jsonRecord } from '../formats/json-object.ts';
import { readJson } from '../formats/json.ts';
import { checkSchema } from '../formats/parsed-text.ts';
import { buildTables } from './build-tables.ts';
import { Bpe } from './bpe.ts';
import { BpeTokenizer } from './bpe-tokenizer.ts';
import { CompiledCache } from './compiled-cache.ts';
import type { CompiledTokenizer } from './compiled-file.ts';
import { Foreign } from './foreign.ts';
import { foreignRules } from './foreign-rules.ts';
import { parseRules } from './rules.ts';
import type { Rules } from './rules.ts';
import { findSpecialTokens } from './special-tokens.ts';
import type { SpecialTokens } from './special-tokens.ts';
import { idOfPiece, pieceOf } from './tables.ts';
import type { BpeTables } from './tables.ts';
import type { Tokenizer } from './tokenizer.ts';

/** A document that was made from another file. */
export interface MadeFile {
  readonly name: string;
  /** Path of that file, which the document changes with; undefined where it is not on this disk. */
  readonly madeFrom: string | undefined;
  open(): Promise<ByteSource>;
}

export interface TokenizerFiles {
  readonly tokenizerJson: string | MadeFile;
  readonly tokenizerConfig?: string | MadeFile | undefined;
  readonly specialTokensMap?: string | undefined;
  /** Where the compiled form of a large tokenizer is kept; default: this user's cache folder of `tracer`. */
  readonly cacheDir?: string | undefined;
}

/**
 * Throws `NotFoundError` when a file is missing or may not be read, `BadFileError` when it is damaged or asks for something
 * that is not supported, naming the field.
 */
export async function loadTokenizer(files: TokenizerFiles): Promise<Tokenizer> {
  const tokenizerJson = nameOf(files.tokenizerJson);
  const declaring = [files.tokenizerConfig, files.specialTokensMap].filter((path) => path !== undefined);
  const [{ rules, tables, model }, declarations] = await Promise.all([
    compile(files.tokenizerJson, files.cacheDir),
    Promise.all(declaring.map(async (file) => ({ name: nameOf(file), document: await read(file) }))),
  ]);
  const added = new Map(rules.added_tokens.map(({ content, id }) => [content, id]));
  const idOf = (piece: string) => added.get(piece) ?? idOfPiece(tables, piece);
  const special = findSpecialTokens(declarations, idOf, tokenizerJson);
  const foreign = foreignRules(rules).length === 0 ? undefined : await Foreign.load();
  return new BpeTokenizer(
    {
      rules: withDeclared(rules, special, tables),
      tables,
      foreign,
      encodePart: encoder(rules, tables, model, foreign, tokenizerJson),
    },
    special,
  );
}

/** Declared special tokens are cut out of a text, as transformers does, also where `added_tokens` does not list them. */
function withDeclared(rules: Rules, special: SpecialTokens, tables: BpeTables): Rules {
  const listed = new Set(rules.added_tokens.map(({ id }) => id));
  const flags = { single_word: false, lstrip: false, rstrip: false, normalized: false, special: true };
  const others = [...special.ids]
    .filter((id) => !listed.has(id))
    .map((id) => ({ id, content: pieceOf(tables, id)!, ...flags }));
  return others.length === 0 ? rules : { ...rules, added_tokens: [...rules.added_tokens, ...others] };
}

function nameOf(file: string | MadeFile): string {
  return typeof file === 'string' ? file : file.name;
}

async function read(file: string | MadeFile): Promise<unknown> {
  return await readJson(typeof file === 'string' ? file : await file.open(), v.unknown());
}

function encoder(
  { model: rules }: Rules,
  tables: BpeTables,
  model: object | undefined,
  foreign: Foreign | undefined,
  file: string,
): (part: string) => readonly number[] {
  if (rules.type !== 'BPE') return foreign!.model(model!);
  const bpe = new Bpe(tables, rules, file);
  return (part) => bpe.encode(part);
}

/** `model`: the field of the file, for models that are left to another implementation; they are not kept in the cache. */
async function compile(
  file: string | MadeFile,
  cacheDir: string | undefined,
): Promise<CompiledTokenizer & { readonly model?: object }> {
  const tokenizerJson = nameOf(file);
  const source = typeof file === 'string' ? file : file.madeFrom;
  const cache = source === undefined ? undefined : await CompiledCache.of(source, cacheDir);
  const kept = await cache?.read();
  if (kept !== undefined) return kept;
  const document = await read(file);
  const rules = parseRules(document, tokenizerJson);
  // `parseRules` made sure that there is a model.
  const { model } = document as { readonly model: { readonly vocab?: unknown; readonly merges?: unknown } };
  const tables = buildTables(vocabularyOf(model, rules, tokenizerJson), rules.added_tokens, tokenizerJson);
  const compiled = { rules, tables };
  if (rules.model.type !== 'BPE') return { ...compiled, model };
  await cache?.write(compiled);
  return compiled;
}

const ScoredPieces = jsonObject({ vocab: v.array(v.tuple([v.string(), v.number()])) });
const Words = jsonObject({ vocab: jsonRecord(v.string(), v.number()) });

/** Vocabulary and merges, as BPE writes them; the unknown token of the other models has to be there. */
function vocabularyOf(
  model: { readonly vocab?: unknown; readonly merges?: unknown },
  { model: rules }: Rules,
  file: string,
): { readonly vocab?: unknown; readonly merges?: unknown } {
  const unknown = (isThere: boolean) => v.check(() => isThere, 'expected the unknown token in model.vocab');
  switch (rules.type) {
    case 'BPE':
      return model;
    case 'WordPiece': {
      const { vocab } = checkSchema(`${file}, model`, model, Words);
      checkSchema(
        `${file}, model`,
        vocab,
        v.pipe(v.unknown(), unknown(Object.hasOwn(vocab, rules.unk_token))),
      );
      return { vocab, merges: [] };
    }
    case 'Unigram': {
      const { vocab } = checkSchema(`${file}, model`, model, ScoredPieces);
      checkSchema(`${file}, model`, vocab, v.pipe(v.unknown(), unknown(rules.unk_id < vocab.length)));
      return { vocab: Object.fromEntries(vocab.map(([piece], id) => [piece, id])), merges: [] };
    }
    default:
      return unreachable(rules);
  }
}
