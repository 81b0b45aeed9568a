/** Model: the families that are known, one row each: the function that reads the config.json of the family. */
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { looseJsonObject } from '../formats/json-object.ts';
import { checkSchema } from '../formats/parsed-text.ts';
import { nearest } from '../nearest.ts';
import type { ConfigDocument } from './config-file.ts';
import type { TransformerConfig } from './config.ts';
import { GEMMA, readGemma } from './families/gemma.ts';
import { GEMMA_2, readGemma2 } from './families/gemma-2.ts';
import { readGemma3, readGemma3Text } from './families/gemma-3.ts';
import { GPT_2, readGpt2 } from './families/gpt-2.ts';
import { GPT_NEOX, readGptNeox } from './families/gpt-neox.ts';
import { GPT_OSS, GPT_OSS_PACKING, readGptOss } from './families/gpt-oss.ts';
import { LLAMA_LIKE } from './families/llama.ts';
import { isQuantised } from './quantised.ts';

/** By `model_type` of config.json. */
const FAMILIES: Readonly<Record<string, (document: ConfigDocument, name: string) => TransformerConfig>> = {
  [GEMMA]: readGemma,
  [GEMMA_2]: readGemma2,
  gemma3: readGemma3,
  gemma3_text: readGemma3Text,
  ...Object.fromEntries(LLAMA_LIKE),
  [GPT_2]: readGpt2,
  [GPT_NEOX]: readGptNeox,
  [GPT_OSS]: readGptOss,
};

/** By `model_type`: `quant_method` of the packed weights that the family reads. */
const PACKED: Readonly<Record<string, string>> = { [GPT_OSS]: GPT_OSS_PACKING };

const Document = looseJsonObject({ model_type: v.string() });

/**
 * Turns the content of `config.json` into a configuration; `name` is what errors call it. Throws `BadFileError` for a family
 * that is not known, and what the family's reader throws.
 */
export function transformerConfig(document: unknown, name: string): TransformerConfig {
  const file = checkSchema(name, document, Document);
  isQuantised(file, name, PACKED[file.model_type]); // throws
  if (Object.hasOwn(FAMILIES, file.model_type)) return FAMILIES[file.model_type]!(file, name);
  const known = Object.keys(FAMILIES);
  const near = nearest(file.model_type, known);
  throw new BadFileError({
    code: 'unknown_family',
    message: `${name}: model_type is ${JSON.stringify(file.model_type)}; known are ${known.map((each) => `"${each}"`).join(', ')}`,
    hint: near ? `Did the author mean "${near}"?` : 'Only these families can be traced so far.',
  });
}
