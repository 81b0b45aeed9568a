/**
 * Tokenizer, GGUF: the tokenizer in a file's metadata as the `tokenizer.json` and `tokenizer_config.json` that it was converted
 * from, so that texts are tokenized by the same rules. A change here raises the version of the compiled form. Keys: https://github.com/ggml-org/ggml/blob/master/docs/gguf.md#tokenizer
 */
import { BadFileError } from '../errors.ts';
import type { MetadataReader } from '../formats/gguf-metadata.ts';
import { mergesByScore } from './gguf-merges.ts';
import { SPLITTERS, type Splitter } from './gguf-splitters.ts';

/** `tokenizer.ggml.token_type`. */
const TYPE = { normal: 1, unknown: 2, control: 3, userDefined: 4, unused: 5, byte: 6 } as const;
const MODEL = 'tokenizer.ggml.model';

interface Token {
  readonly id: number;
  readonly piece: string;
  readonly type: number;
}

/** What differs between byte-level vocabularies and those of SentencePiece. */
interface Kind {
  readonly normalizer: unknown;
  readonly pre_tokenizer: unknown;
  readonly decoder: unknown;
  readonly model: Readonly<Record<string, unknown>>;
  readonly merges: () => readonly (readonly [string, string])[];
  readonly addsBos: boolean;
  readonly cleansUp: boolean;
  /** Whether the converted files name a token that they do not put in front. */
  readonly declaresUnusedBos: boolean;
  readonly declaresControl: boolean;
}

/** The document of `tokenizer.json`. Throws `BadFileError` for a tokenizer that is not known, naming key and value. */
export function ggufTokenizer(metadata: MetadataReader): unknown {
  const tokens = readTokens(metadata);
  const kind = kindOf(metadata, tokens);
  const { bos } = namedTokens(metadata, tokens);
  const isAdded = ({ type }: Token): boolean =>
    type === TYPE.control || type === TYPE.unknown || type === TYPE.userDefined;
  return {
    version: '1.0',
    added_tokens: tokens.filter(isAdded).map(({ id, piece, type }) => ({
      id,
      content: piece,
      single_word: false,
      lstrip: false,
      rstrip: false,
      normalized: false,
      special: type !== TYPE.userDefined,
    })),
    normalizer: kind.normalizer,
    pre_tokenizer: kind.pre_tokenizer,
    post_processor: bos && addsBos(metadata, kind) ? bosInFront(bos) : null,
    decoder: kind.decoder,
    model: {
      type: 'BPE',
      ...kind.model,
      vocab: Object.fromEntries(tokens.map(({ id, piece }) => [piece, id])),
      merges: kind.merges(),
    },
  };
}

/** The document of `tokenizer_config.json`. */
export function ggufTokenizerConfig(metadata: MetadataReader): unknown {
  const tokens = readTokens(metadata);
  const kind = kindOf(metadata, tokens);
  const { bos, eos, unknown, padding } = namedTokens(metadata, tokens);
  const adds = addsBos(metadata, kind);
  const isControl = ({ type }: Token): boolean => type === TYPE.control;
  return {
    tokenizer_class: 'PreTrainedTokenizer',
    bos_token: adds || kind.declaresUnusedBos ? (bos?.piece ?? null) : null,
    eos_token: eos?.piece ?? null,
    unk_token: unknown?.piece ?? null,
    pad_token: padding?.piece ?? null,
    additional_special_tokens: kind.declaresControl ? tokens.filter(isControl).map(({ piece }) => piece) : [],
    add_bos_token: adds,
    add_eos_token: metadata.boolean('tokenizer.ggml.add_eos_token') ?? false,
    clean_up_tokenization_spaces: kind.cleansUp,
    ...(metadata.has('tokenizer.chat_template') && {
      chat_template: metadata.text('tokenizer.chat_template'),
    }),
  };
}

function readTokens(metadata: MetadataReader): Token[] {
  const key = 'tokenizer.ggml.tokens';
  const pieces = metadata.require(key, metadata.texts(key));
  const types = metadata.numbers('tokenizer.ggml.token_type');
  if (types && types.length !== pieces.length)
    throw metadata.wrong('tokenizer.ggml.token_type', `${pieces.length} types, one a token`, types.length);
  const ids = new Map<string, number>();
  return pieces.map((piece, id) => {
    const other = ids.get(piece);
    if (other !== undefined || piece === '') {
      const fault = piece === '' ? 'a text that is not empty' : `another text than that of token ${other}`;
      throw metadata.wrong(`${key}[${id}]`, fault, piece);
    }
    ids.set(piece, id);
    return { id, piece, type: types?.[id] ?? TYPE.normal };
  });
}

function kindOf(metadata: MetadataReader, tokens: readonly Token[]): Kind {
  const model = metadata.require(MODEL, metadata.text(MODEL));
  switch (model) {
    case 'gpt2':
      return byteLevel(metadata);
    case 'llama':
      return sentencePiece(metadata, tokens);
    default:
      throw new BadFileError({
        code: 'gguf_tokenizer',
        message: `${metadata.name}: ${MODEL} is "${model}"; known are "gpt2" (byte-level BPE) and "llama" (SentencePiece)`,
        hint: 'Name the checkpoint that the file was converted from.',
      });
  }
}

function byteLevel(metadata: MetadataReader): Kind {
  const splitter = splitterOf(metadata);
  const key = 'tokenizer.ggml.merges';
  return {
    ...splitter,
    normalizer: splitter.normalizer ?? null,
    decoder: { type: 'ByteLevel' },
    model: { ignore_merges: splitter.ignoresMerges ?? false },
    merges: () =>
      metadata.require(key, metadata.texts(key)).map((merge, i) => pairOf(metadata, `${key}[${i}]`, merge)),
    addsBos: splitter.addsBos ?? false,
    cleansUp: splitter.cleansUp ?? false,
    declaresUnusedBos: splitter.declaresUnusedBos ?? true,
    declaresControl: splitter.declaresControl ?? true,
  };
}

function splitterOf(metadata: MetadataReader): Splitter {
  const key = 'tokenizer.ggml.pre';
  const pre = metadata.text(key);
  const found = SPLITTERS.find(({ names }) => pre !== undefined && names.includes(pre));
  if (found) return found;
  const known = SPLITTERS.flatMap(({ names }) => names).join(', ');
  throw new BadFileError({
    code: 'gguf_tokenizer',
    message: `${metadata.name}: ${key}, which says how a text is split, is ${pre === undefined ? 'missing' : JSON.stringify(pre)}; known are ${known}`,
    hint:
      pre === undefined
        ? 'The file was made by an old llama.cpp. Convert the model again.'
        : 'Name the checkpoint that the file was converted from.',
  });
}

/** Pieces of byte-level vocabularies have no spaces; the space between two of them is the one that is not the first character. */
function pairOf(metadata: MetadataReader, key: string, merge: string): readonly [string, string] {
  const at = merge.indexOf(' ', 1);
  if (at < 0 || at === merge.length - 1) throw metadata.wrong(key, 'two pieces with a space between', merge);
  return [merge.slice(0, at), merge.slice(at + 1)];
}

const SPACE = '▁';

function sentencePiece(metadata: MetadataReader, tokens: readonly Token[]): Kind {
  const key = 'tokenizer.ggml.scores';
  const scores = metadata.require(key, metadata.numbers(key));
  if (scores.length !== tokens.length)
    throw metadata.wrong(key, `${tokens.length} scores, one a token`, scores.length);
  const unknown = tokens.find(({ type }) => type === TYPE.unknown);
  const prependsSpace = metadata.boolean('tokenizer.ggml.add_space_prefix') ?? true;
  const spaces = { type: 'Replace', pattern: { String: ' ' }, content: SPACE };
  const decoders = [
    { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
    { type: 'ByteFallback' },
    { type: 'Fuse' },
  ];
  const mergeable = ({ type }: Token): boolean => type === TYPE.normal || type === TYPE.userDefined;
  return {
    normalizer: prependsSpace
      ? { type: 'Sequence', normalizers: [{ type: 'Prepend', prepend: SPACE }, spaces] }
      : spaces,
    pre_tokenizer: null,
    decoder: {
      type: 'Sequence',
      decoders: prependsSpace ? [...decoders, { type: 'Strip', content: ' ', start: 1, stop: 0 }] : decoders,
    },
    model: { unk_token: unknown?.piece ?? null, fuse_unk: true, byte_fallback: true },
    merges: () =>
      mergesByScore(tokens.filter(mergeable).map(({ id, piece }) => ({ piece, score: scores[id]! }))),
    addsBos: true,
    cleansUp: false,
    declaresUnusedBos: true,
    declaresControl: true,
  };
}

function addsBos(metadata: MetadataReader, kind: Kind): boolean {
  return metadata.boolean('tokenizer.ggml.add_bos_token') ?? kind.addsBos;
}

function bosInFront({ id, piece }: Token): unknown {
  return {
    type: 'TemplateProcessing',
    single: [{ SpecialToken: { id: piece, type_id: 0 } }, { Sequence: { id: 'A', type_id: 0 } }],
    special_tokens: { [piece]: { id: piece, ids: [id], tokens: [piece] } },
  };
}

const ROLES = {
  bos: 'tokenizer.ggml.bos_token_id',
  eos: 'tokenizer.ggml.eos_token_id',
  unknown: 'tokenizer.ggml.unknown_token_id',
  padding: 'tokenizer.ggml.padding_token_id',
} as const;

function namedTokens(
  metadata: MetadataReader,
  tokens: readonly Token[],
): Readonly<Partial<Record<keyof typeof ROLES, Token>>> {
  const found: Partial<Record<keyof typeof ROLES, Token>> = {};
  for (const role of Object.keys(ROLES) as (keyof typeof ROLES)[]) {
    const id = metadata.number(ROLES[role]);
    if (id === undefined) continue;
    const token = tokens[id];
    if (!token) throw metadata.wrong(ROLES[role], `an id below ${tokens.length}`, id);
    found[role] = token;
  }
  return found;
}
