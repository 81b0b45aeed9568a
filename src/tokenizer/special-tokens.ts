/** Tokenizer, step 5: which tokens are declared special, from `tokenizer_config.json` and `special_tokens_map.json`. */
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { jsonObject, jsonRecord } from '../formats/json-object.ts';
import { checkSchema } from '../formats/parsed-text.ts';

const TokenName = v.union([v.string(), jsonObject({ content: v.string() })]);
const Role = v.nullish(TokenName);
const NamedTokens = v.nullish(v.union([v.array(TokenName), jsonRecord(v.string(), TokenName)]));

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
});

/** What the `GemmaTokenizer` class assumes where no file says otherwise. */
const GEMMA_DEFAULTS: Readonly<Partial<Record<RoleName, string>>> = {
  bos_token: '<bos>',
  eos_token: '<eos>',
  unk_token: '<unk>',
  pad_token: '<pad>',
};
export interface SpecialTokens {
  readonly bosId: number;
  readonly eosId: number;
  readonly ids: ReadonlySet<number>;
  /** Whether `tokenizer_config.json` has them added to a text; its classes then replace the template of `tokenizer.json`. */
  readonly addsBos: boolean;
  readonly addsEos: boolean;
}

/** A parsed JSON file, and its name for errors. */
export interface JsonFile {
  readonly name: string;
  readonly document: unknown;
}

/**
 * For each role the first file that names a token counts (transformers reads `tokenizer_config.json` first), then
 * Gemma's default. Throws `BadFileError` for a token that is not in the vocabulary.
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
  const roleId = (role: RoleName): number | undefined => {
    const declared = declarations.find((declaration) => nameOf(declaration[role]) !== undefined);
    if (declared !== undefined) return resolve(nameOf(declared[role])!, role, declared.file);
    const assumed = GEMMA_DEFAULTS[role];
    return assumed === undefined ? undefined : idOf(assumed);
  };
  const required = (role: RoleName): number => {
    const id = roleId(role);
    if (id !== undefined) return id;
    throw new BadFileError({
      code: 'tokenizer_special_token',
      message: `${tokenizerFile}: no ${role} is declared, and there is no token ${JSON.stringify(GEMMA_DEFAULTS[role])}`,
      hint: 'Put the tokenizer_config.json of the model beside it.',
    });
  };

  const ids = (Object.keys(ROLES) as RoleName[]).map(roleId).filter((id) => id !== undefined);
  for (const field of ['additional_special_tokens', 'extra_special_tokens'] as const) {
    const declared = declarations.find((declaration) => Object.values(declaration[field] ?? {}).length > 0);
    for (const token of Object.values(declared?.[field] ?? {})) {
      ids.push(resolve(nameOf(token)!, field, declared!.file));
    }
  }
  return {
    bosId: required('bos_token'),
    eosId: required('eos_token'),
    ids: new Set(ids),
    addsBos: declarations.every(({ add_bos_token }) => add_bos_token !== false),
    addsEos: declarations.some(({ add_eos_token }) => add_eos_token === true),
  };
}

function nameOf(token: v.InferOutput<typeof Role>): string | undefined {
  return typeof token === 'string' ? token : token?.content;
}
