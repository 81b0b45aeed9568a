/** Rules of BERT and of T5, some left to `@huggingface/tokenizers`: held against the library in Rust, and refused where nobody follows them. */
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { BadFileError } from '../../src/errors.ts';
import type { Tokenizer } from '../../src/tokenizer/tokenizer.ts';
import { familyFiles, loadText, readFamilyJson, readLines, type Family } from './support.ts';
import { scratchFolder } from '../support/scratch.ts';

interface Reference {
  readonly name: string;
  readonly file: 'wordpiece' | 'unigram' | Family;
  readonly change: object;
  readonly cases: readonly { readonly text: string; readonly ids: number[]; readonly decoded: string }[];
}
const references = readLines<Reference>('reference-foreign.jsonl');

const DECLARED = {
  wordpiece: { bos_token: '[CLS]', eos_token: '[SEP]' },
  unigram: { bos_token: '<pad>', eos_token: '</s>' },
};

function small(name: 'wordpiece' | 'unigram'): Record<string, unknown> {
  const file = path.join(import.meta.dirname, 'foreign', `${name}.json`);
  return JSON.parse(readFileSync(file, 'utf8')) as Record<string, unknown>;
}

async function load(file: Reference['file'], change: object): Promise<Tokenizer> {
  if (file !== 'wordpiece' && file !== 'unigram') {
    const json = readFamilyJson<object>(file, 'model', 'tokenizer.json');
    const { specialTokensMap } = familyFiles(file);
    return await loadText(JSON.stringify({ ...json, ...change }), { specialTokensMap });
  }
  using scratch = scratchFolder();
  const tokenizerConfig = path.join(scratch.path, 'tokenizer_config.json');
  writeFileSync(tokenizerConfig, JSON.stringify(DECLARED[file]));
  return await loadText(JSON.stringify({ ...small(file), ...change }), { tokenizerConfig });
}

describe('rules that another implementation follows', () => {
  it.each(references.map((reference) => [reference.name, reference] as const))(
    'give the ids and texts of the tokenizers library: %s',
    async (_, { file, change, cases }) => {
      const tokenizer = await load(file, change);
      expect(cases.length).toBeGreaterThan(100);
      for (const { text, ids, decoded } of cases) {
        expect({ text, ids: tokenizer.encode(text) }).toEqual({ text, ids });
        expect({ text, decoded: tokenizer.decode(ids) }).toEqual({ text, decoded });
        const stream = tokenizer.decodeStream();
        expect(ids.map((id) => stream.push(id)).join('') + stream.end()).toBe(decoded);
      }
    },
  );

  it('are named', async () => {
    expect((await load('wordpiece', {})).foreignRules).toEqual([
      'normalizer BertNormalizer',
      'model WordPiece',
      'decoder WordPiece',
    ]);
    expect((await load('unigram', {})).foreignRules).toEqual(['normalizer NFKC', 'model Unigram']);
    expect((await load('llama', {})).foreignRules).toEqual([]);
  });

  const model = (file: 'wordpiece' | 'unigram', change: object) => ({
    model: { ...(small(file)['model'] as object), ...change },
  });
  const splits = (type: string, more = {}) => ({ pre_tokenizer: { type, ...more } });

  it.each<[string, Reference['file'], object, RegExp]>([
    [
      'Precompiled',
      'unigram',
      { normalizer: { type: 'Precompiled', precompiled_charsmap: '' } },
      /normalizer.type.*"Precompiled"/,
    ],
    ['Nmt', 'llama', { normalizer: { type: 'Nmt' } }, /normalizer.type.*"Nmt"/],
    ['FixedLength', 'wordpiece', splits('FixedLength', { length: 5 }), /pre_tokenizer.type.*"FixedLength"/],
    ['CTC', 'unigram', { decoder: { type: 'CTC' } }, /decoder.type.*"CTC"/],
    [
      'Unigram with bytes',
      'unigram',
      model('unigram', { byte_fallback: true }),
      /model.byte_fallback: expected false, found true/,
    ],
    ['Unigram without an unknown token', 'unigram', model('unigram', { unk_id: null }), /model.unk_id/],
    [
      'an unknown token beyond the vocabulary',
      'unigram',
      model('unigram', { unk_id: 4000 }),
      /expected the unknown token/,
    ],
    [
      'an unknown token that is no word',
      'wordpiece',
      model('wordpiece', { unk_token: '[NO]' }),
      /expected the unknown token/,
    ],
    ['scores that are none', 'unigram', model('unigram', { vocab: [['a', 'b']] }), /field vocab\[0\]\[1\]/],
    [
      'WordLevel',
      'wordpiece',
      { model: { type: 'WordLevel', vocab: {}, unk_token: 'x' } },
      /model.type: expected "BPE".*"WordLevel"/,
    ],
    [
      'an expression that is not known',
      'llama',
      { normalizer: { type: 'Replace', pattern: { Regex: '(?<=a)b' }, content: '' } },
      /normalizer.pattern.Regex: the expression/,
    ],
  ])('are refused by name where the package does not follow them: %s', async (_, file, change, message) => {
    const loaded = load(file, change);
    await expect(loaded).rejects.toBeInstanceOf(BadFileError);
    await expect(loaded).rejects.toThrow(message);
  });
});
