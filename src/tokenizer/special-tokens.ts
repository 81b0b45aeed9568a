/** Tokenizer, step 5: which tokens are declared special, from `tokenizer_config.json` and `special_tokens_map.json`. */
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { jsonObject, jsonRecord } from '../formats/json-object.ts';
import { checkSchema } from '../formats/parsed-text.ts';

const TokenName = v.union([v.string(), jsonObject({ content: v.string() })]);
const Role = v.nullish(TokenName);
const NamedTokens = v.nullish(v.union([v.array(TokenName), jsonRecord(v.string(), TokenName)]));

const END_OF_TEXT = '<|endoftext|>';

const ROLES = {
  bos_token: Role,
  eos_token: Role,
  unk_token: Role,
  sep_token: Role,
  pad_token: Role,
  cls_token: Role,
  mask_token: Role,
};
type RoleName = keyof typeof ROLES;

const Declaration = jsonObject({
  ...ROLES,
  additional_special_tokens: NamedTokens,
  extra_special_tokens: NamedTokens,
  add_bos_token: v.optional(v.unknown()),
  add_eos_token: v.optional(v.unknown()),
  tokenizer_class: v.nullish(v.string()),
  clean_up_tokenization_spaces: v.nullish(v.boolean()),
});

/**
 * What the classes of transformers assume where no file names a token, by `tokenizer_class` (without `Fast`). In this order
 * they are tried where a file names no class: the first whose BOS is a token.
 */
const CLASS_DEFAULTS: Readonly<Record<string, Readonly<Partial<Record<RoleName, string>>>>> = {
  GemmaTokenizer: { bos_token: '<bos>', eos_token: '<eos>', unk_token: '<unk>', pad_token: '<pad>' },
  LlamaTokenizer: { bos_token: '<s>', eos_token: '</s>', unk_token: '<unk>' },
  GPT2Tokenizer: { bos_token: END_OF_TEXT, eos_token: END_OF_TEXT, unk_token: END_OF_TEXT },
  GPTNeoXTokenizer: { bos_token: END_OF_TEXT, eos_token: END_OF_TEXT, unk_token: END_OF_TEXT },
  Qwen2Tokenizer: { eos_token: END_OF_TEXT, unk_token: END_OF_TEXT, pad_token: END_OF_TEXT },
  /** Takes what the files say, and nothing else. */
  PreTrainedTokenizer: {},
};

export interface SpecialTokens {
  /** What is put in front of a prompt: BOS, or what stands for it. */
  readonly bosId: number;
  readonly eosId: number;
  readonly ids: ReadonlySet<number>;
  /** Whether `tokenizer_config.json` has them added to a text; its classes then replace the template of `tokenizer.json`. */
  readonly addsBos: boolean;
  readonly addsEos: boolean;
  /** Whether decoded text loses its spaces in front of punctuation. */
  readonly cleansUp: boolean;
}

/** A parsed JSON file, and its name for errors. */
export interface JsonFile {
  readonly name: string;
  readonly document: unknown;
}

/**
 * For each role the first file that names a token counts (transformers reads `tokenizer_config.json` first), then the default
 * of the tokenizer's class. Throws `BadFileError` for a token that is not in the vocabulary.
 */
export function findSpecialTokens(
  files: readonly JsonFile[],
  idOf: (piece: string) => number | undefined,
  tokenizerFile: string,
): SpecialTokens {
  const declarations = files.map((file) => ({
    file: file.name,
    ...checkSchema(file.name, file.document, Declaration),
  }));
  const resolve = (piece: string, field: string, file: string): number => {
    const id = idOf(piece);
    if (id !== undefined) return id;
    throw new BadFileError({
      code: 'tokenizer_special_token',
      message: `${file}: field ${field}: ${JSON.stringify(piece)} is no token of ${tokenizerFile}`,
      hint: 'The two files do not belong together. Fetch them again.',
    });
  };
  const defaults = defaultsOf(declarations, idOf);
  const roleId = (role: RoleName): number | undefined => {
    const declared = declarations.find((declaration) => nameOf(declaration[role]) !== undefined);
    if (declared !== undefined) return resolve(nameOf(declared[role])!, role, declared.file);
    const assumed = defaults[role];
    return assumed === undefined ? undefined : idOf(assumed);
  };
  const missing = (what: string): BadFileError =>
    new BadFileError({
      code: 'tokenizer_special_token',
      message: `${tokenizerFile}: no ${what} is declared`,
      hint: 'Put the tokenizer_config.json of the model beside it.',
    });

  const ids = (Object.keys(ROLES) as RoleName[]).map(roleId).filter((id) => id !== undefined);
  for (const field of ['additional_special_tokens', 'extra_special_tokens'] as const) {
    const declared = declarations.find((declaration) => Object.values(declaration[field] ?? {}).length > 0);
    for (const token of Object.values(declared?.[field] ?? {})) {
      ids.push(resolve(nameOf(token)!, field, declared!.file));
    }
  }
  const eosId = roleId('eos_token');
  const bosId = standingFirst(roleId, ids);
  if (bosId === undefined) throw missing('bos_token');
  if (eosId === undefined) throw missing('eos_token');
  return {
    bosId,
    eosId,
    ids: new Set(ids),
    addsBos: declarations.every(({ add_bos_token }) => add_bos_token !== false),
    addsEos: declarations.some(({ add_eos_token }) => add_eos_token === true),
    cleansUp: declarations.some((declaration) => declaration.clean_up_tokenization_spaces === true),
  };
}

/**
 * The token that the reference puts in front of a prompt for attribution: the first declared of BOS, EOS, padding, and any
 * other. (It would take padding before EOS, but TransformerLens, which it runs on, has by then declared EOS as BOS where
 * there is none: an instruct Qwen gets `<|im_end|>`.)
 */
function standingFirst(
  roleId: (role: RoleName) => number | undefined,
  ids: readonly number[],
): number | undefined {
  return roleId('bos_token') ?? roleId('eos_token') ?? roleId('pad_token') ?? ids[0];
}

function defaultsOf(
  declarations: readonly v.InferOutput<typeof Declaration>[],
  idOf: (piece: string) => number | undefined,
): Readonly<Partial<Record<RoleName, string>>> {
  const named = declarations
    .map(({ tokenizer_class }) => tokenizer_class?.replace(/Fast$/, ''))
    .find(Boolean);
  if (named !== undefined && Object.hasOwn(CLASS_DEFAULTS, named)) return CLASS_DEFAULTS[named]!;
  const fits = ({ bos_token }: Partial<Record<RoleName, string>>) =>
    bos_token !== undefined && idOf(bos_token) !== undefined;
  return Object.values(CLASS_DEFAULTS).find(fits) ?? {};
}

function nameOf(token: v.InferOutput<typeof Role>): string | undefined {
  return typeof token === 'string' ? token : token?.content;
}
