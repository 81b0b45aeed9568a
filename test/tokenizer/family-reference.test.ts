import { describe, expect, it } from '@jest/globals';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import { familyFiles, loadChangedFamily, readFamilyJson, readLines } from './support.ts';
import type { AddedTokenJson, Family } from './support.ts';

interface Reference {
  readonly text: string;
  readonly ids: number[];
  readonly mixed_ids: number[];
  readonly mixed_decoded: string;
  readonly mixed_without_special: string;
}

interface RuleReference {
  readonly family: Family;
  readonly name: string;
  readonly model: Record<string, unknown>;
  readonly document: Record<string, unknown>;
  readonly added_tokens: AddedTokenJson[];
  readonly cases: { readonly text: string; readonly ids: number[]; readonly decoded: string }[];
}

/** The library alone does not clean spaces up: transformers does. */
const NOT_CLEANED = { clean_up_tokenization_spaces: false };

describe.each<Family>(['llama', 'qwen3', 'mistral', 'gpt2', 'gpt-neox', 'gpt-oss'])(
  'the tokenizer of %s',
  (family) => {
    const references = readLines<Reference>(`reference-${family}.jsonl`);

    it('encodes and decodes every text of the reference file as the tokenizers library does', async () => {
      const config = readFamilyJson<object>(family, 'model', 'tokenizer_config.json');
      const tokenizer = await loadChangedFamily(family, () => {}, { ...config, ...NOT_CLEANED });
      expect(references.length).toBeGreaterThan(500);
      for (const reference of references) {
        const mixed = reference.mixed_ids;
        const ours: Reference = {
          text: reference.text,
          ids: tokenizer.encode(reference.text),
          mixed_ids: mixed,
          mixed_decoded: tokenizer.decode(mixed),
          mixed_without_special: tokenizer.decode(mixed, { skipSpecialTokens: true }),
        };
        expect(ours).toEqual(reference);
      }
    });

    it('decodes one by one what it decodes at once', async () => {
      const tokenizer = await loadTokenizer(familyFiles(family));
      for (const { ids, mixed_ids } of references) {
        for (const list of [ids, mixed_ids]) {
          const stream = tokenizer.decodeStream();
          let shown = '';
          list.forEach((id, i) => {
            shown += stream.push(id);
            expect(shown + stream.pending()).toBe(tokenizer.decode(list.slice(0, i + 1)));
          });
          expect(shown + stream.end()).toBe(tokenizer.decode(list));
        }
      }
    });
  },
);

describe('rules of a tokenizer.json of another family', () => {
  it.each(
    readLines<RuleReference>('reference-family-rules.jsonl').map(
      (reference) => [reference.family, reference.name, reference] as const,
    ),
  )('are followed as the tokenizers library does: %s, %s', async (family, _, reference) => {
    const tokenizer = await loadChangedFamily(family, (json) => {
      Object.assign(json.model, reference.model);
      Object.assign(json, reference.document);
      json.added_tokens.push(...reference.added_tokens);
    });
    for (const { text, ids, decoded } of reference.cases) {
      const ours = tokenizer.encode(text);
      expect({ text, ids: ours }).toEqual({ text, ids });
      if (family !== 'llama') expect(tokenizer.decode(ids)).toBe(decoded);
    }
  });
});
