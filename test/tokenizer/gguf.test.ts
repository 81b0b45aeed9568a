/** Tokenizers in GGUF files: the same tokens as the golden tokenizer.json that they were converted from. */
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { PromptReader } from '../../src/engine/prompt-reader.ts';
import { USUAL_PROMPT } from '../../src/tokenizer/bos.ts';
import { mergesByScore } from '../../src/tokenizer/gguf-merges.ts';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { goldenPath } from '../support/golden.ts';
import { gguf, GGUF_FAMILIES, ggufModel, type GgufFamily } from '../support/gguf.ts';
import { changedGguf } from '../support/gguf-writer.ts';
import { scratchFolder } from '../support/scratch.ts';

const NAMES = Object.keys(GGUF_FAMILIES) as GgufFamily[];

async function tokenizerOf(file: string): Promise<Tokenizer> {
  const files = ggufModel(file);
  const made = (name: string) => ({
    name: `${file} (as ${name})`,
    madeFrom: undefined,
    open: () => files.open(name),
  });
  return await loadTokenizer({
    tokenizerJson: made('tokenizer.json'),
    tokenizerConfig: made('tokenizer_config.json'),
  });
}

async function goldenTokenizer(name: GgufFamily): Promise<Tokenizer> {
  const [fixture] = GGUF_FAMILIES[name];
  return await loadTokenizer({
    tokenizerJson: goldenPath(fixture, 'model', 'tokenizer.json'),
    tokenizerConfig: goldenPath(fixture, 'model', 'tokenizer_config.json'),
  });
}

describe.each(NAMES)('the tokenizer of %s', (name) => {
  it('gives the tokens of tokenizer.json for any text, and the text back', async () => {
    const [own, golden] = [await tokenizerOf(gguf(name)), await goldenTokenizer(name)];
    const words = fc.constantFrom(
      ...[
        'The capital',
        ' of',
        '  ',
        '\n\n',
        "don't",
        'é',
        'e\u0301',
        '苹果',
        '1234567',
        '\t',
        '▁',
        '<|im_start|>',
        '<bos>',
      ],
      ...['<|begin_of_text|>', '<think>', '<unk>', '<0x0A>', '👩‍🚀', '…', 'ABCdef', '\u0000'],
    );
    const texts = fc.array(fc.oneof(words, fc.string({ unit: 'binary', maxLength: 8 })), { maxLength: 12 });
    fc.assert(
      fc.property(texts, (parts) => {
        const text = parts.join('');
        const ids = own.encode(text);
        expect(ids).toEqual(golden.encode(text));
        expect(own.promptIds(text, 'always')).toEqual(golden.promptIds(text, 'always'));
        if (text !== '')
          expect(own.promptIds(text, 'unless_special_first')).toEqual(
            golden.promptIds(text, 'unless_special_first'),
          );
        expect(own.decode(ids)).toBe(golden.decode(ids));
        if (text === '') return;
        const [ours, theirs] = [own, golden].map((each) => new PromptReader(each, USUAL_PROMPT));
        expect(ours!.passTokens({ prompt: text })).toEqual(theirs!.passTokens({ prompt: text }));
        expect(ours!.attributionTokens({ prompt: text })).toEqual(
          theirs!.attributionTokens({ prompt: text }),
        );
      }),
      { numRuns: 2000 },
    );
  });

  it('declares the same tokens', async () => {
    const [own, golden] = [await tokenizerOf(gguf(name)), await goldenTokenizer(name)];
    const { bosId, eosId, vocabularySize, otherTemplate } = own;
    expect({ bosId, eosId, otherTemplate }).toEqual({
      bosId: golden.bosId,
      eosId: golden.eosId,
      otherTemplate: golden.otherTemplate,
    });
    expect(vocabularySize).toBeGreaterThanOrEqual(golden.vocabularySize);
    for (const id of golden.specialIds) expect(own.specialIds).toContain(id);
  });
});

describe('a tokenizer that is not known', () => {
  const REFUSED: [what: string, change: Parameters<typeof changedGguf>[1], message: RegExp][] = [
    [
      'kind',
      { values: { 'tokenizer.ggml.model': 'rwkv' } },
      /tokenizer\.ggml\.model is "rwkv"; known are "gpt2"/,
    ],
    [
      'way to split',
      { values: { 'tokenizer.ggml.pre': 'chameleon' } },
      /tokenizer\.ggml\.pre, which says how a text is split, is "chameleon"; known are llama-bpe/,
    ],
    ['missing way to split', { without: ['tokenizer.ggml.pre'] }, /tokenizer\.ggml\.pre, .*is missing/],
    ['missing vocabulary', { without: ['tokenizer.ggml.tokens'] }, /has no tokenizer\.ggml\.tokens/],
    [
      'list of types',
      { values: { 'tokenizer.ggml.token_type': [1, 1] } },
      /token_type is 2, expected 447 types/,
    ],
    [
      'merge',
      { values: { 'tokenizer.ggml.merges': ['ab'] } },
      /tokenizer\.ggml\.merges\[0\] is "ab", expected two pieces/,
    ],
    [
      'token with a role',
      { values: { 'tokenizer.ggml.eos_token_id': 9999 } },
      /eos_token_id is 9999, expected an id below 447/,
    ],
  ];

  it.each(REFUSED)('%s is refused by name', async (_what, change, message) => {
    using scratch = scratchFolder();
    const file = path.join(scratch.path, 'changed.gguf');
    writeFileSync(file, await changedGguf(gguf('llama'), change));
    await expect(tokenizerOf(file)).rejects.toThrow(message);
  });
});

it('merges of a SentencePiece vocabulary are ordered by score, then by the longer parts', () => {
  const pieces = ['a', 'b', 'c', 'ab', 'bc', 'abc', '🦊', 'a🦊'].map((piece, i) => ({ piece, score: -i }));
  expect(mergesByScore(pieces)).toEqual([
    ['a', 'b'],
    ['b', 'c'],
    ['ab', 'c'],
    ['a', 'bc'],
    ['a', '🦊'],
  ]);
});
