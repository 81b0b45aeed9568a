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

/** Texts of the tokens that are declared or assumed for a role, such as `eos_token`. */
export type RoleTokens = Readonly<Partial<Record<RoleName, string>>>;

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
const CLASS_DEFAULTS: Readonly<Record<string, RoleTokens>> = {
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
  readonly roles: RoleTokens;
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
  const roles: Partial<Record<RoleName, string>> = {};
  const roleIds: Partial<Record<RoleName, number>> = {};
  for (const role of Object.keys(ROLES) as RoleName[]) {
    const declared = declarations.find((declaration) => nameOf(declaration[role]) !== undefined);
    const piece = nameOf(declared?.[role]) ?? defaults[role];
    if (piece === undefined) continue;
    const id = declared ? resolve(piece, role, declared.file) : idOf(piece);
    if (id === undefined) continue;
    roles[role] = piece;
    roleIds[role] = id;
  }
  const missing = (what: string): BadFileError =>
    new BadFileError({
      code: 'tokenizer_special_token',
      message: `${tokenizerFile}: no ${what} is declared`,
      hint: 'Put the tokenizer_config.json of the model beside it.',
    });

  const ids = Object.values(roleIds);
  for (const field of ['additional_special_tokens', 'extra_special_tokens'] as const) {
    const declared = declarations.find((declaration) => Object.values(declaration[field] ?? {}).length > 0);
    for (const token of Object.values(declared?.[field] ?? {})) {
      ids.push(resolve(nameOf(token)!, field, declared!.file));
    }
  }
  const eosId = roleIds.eos_token;
  const bosId = standingFirst(roleIds, ids);
  if (bosId === undefined) throw missing('bos_token');
  if (eosId === undefined) throw missing('eos_token');
  return {
    bosId,
    eosId,
    ids: new Set(ids),
    roles,
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
  roleIds: Readonly<Partial<Record<RoleName, number>>>,
  ids: readonly number[],
): number | undefined {
  return roleIds.bos_token ?? roleIds.eos_token ?? roleIds.pad_token ?? ids[0];
}

function defaultsOf(
  declarations: readonly v.InferOutput<typeof Declaration>[],
  idOf: (piece: string) => number | undefined,
): RoleTokens {
  const named = declarations
    .map(({ tokenizer_class }) => tokenizer_class?.replace(/Fast$/, ''))
    .find(Boolean);
  if (named !== undefined && Object.hasOwn(CLASS_DEFAULTS, named)) return CLASS_DEFAULTS[named]!;
  const fits = ({ bos_token }: RoleTokens) => bos_token !== undefined && idOf(bos_token) !== undefined;
  return Object.values(CLASS_DEFAULTS).find(fits) ?? {};
}

function nameOf(token: v.InferOutput<typeof Role>): string | undefined {
  return typeof token === 'string' ? token : token?.content;
}
