import { describe, expect, it } from '@jest/globals';
import { loadChanged, readLines } from './support.ts';
import type { AddedTokenJson } from './support.ts';

interface Reference {
  readonly name: string;
  readonly model: { readonly merges?: 'text' | 'none' };
  readonly document: Record<string, unknown>;
  readonly added_tokens: AddedTokenJson[];
  readonly cases: { readonly text: string; readonly ids: number[] }[];
}

describe('rules of tokenizer.json', () => {
  it.each(
    readLines<Reference>('reference-rules.jsonl').map((reference) => [reference.name, reference] as const),
  )('are followed as the tokenizers library does: %s', async (_, reference) => {
    const tokenizer = await loadChanged((json) => {
      const { merges, ...flags } = reference.model;
      Object.assign(json.model, flags);
      if (merges === 'text')
        json.model.merges = json.model.merges.map((pair) => (pair as string[]).join(' '));
      if (merges === 'none') json.model.merges = [];
      Object.assign(json, reference.document);
      json.added_tokens.push(...reference.added_tokens);
    });
    for (const { text, ids } of reference.cases) {
      expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids });
    }
  });
});
