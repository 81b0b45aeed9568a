import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { BadFileError, NotFoundError } from '../../src/errors.ts';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import type { TokenizerFiles } from '../../src/tokenizer/load.ts';
import { scratchFolder } from '../support/scratch.ts';
import { familyFiles, goldenFiles, loadChanged, loadText } from './support.ts';
import type { TokenizerJson } from './support.ts';

async function refusal(change: (json: TokenizerJson) => void): Promise<BadFileError> {
  const error: unknown = await loadChanged(change).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(BadFileError);
  return error as BadFileError;
}

const replaceDecoder = { type: 'Replace', pattern: { String: '▁' }, content: ' ' };

describe('a tokenizer.json that asks for what is not supported', () => {
  it.each<[string, RegExp, (json: TokenizerJson) => void]>([
    [
      'another model',
      /model\.type: expected "BPE", found "WordLevel"/,
      ({ model }) => (model.type = 'WordLevel'),
    ],
    ['dropout', /model\.dropout/, ({ model }) => (model.dropout = 0.1)],
    [
      'a subword prefix',
      /model\.continuing_subword_prefix/,
      ({ model }) => (model.continuing_subword_prefix = '##'),
    ],
    ['a word suffix', /model\.end_of_word_suffix/, ({ model }) => (model.end_of_word_suffix = '</w>')],
    ['a flag that is no flag', /model\.byte_fallback/, ({ model }) => (model.byte_fallback = 'yes')],
    ['an unknown normalizer', /normalizer\.type.*"Nmt"/, (json) => (json.normalizer = { type: 'Nmt' })],
    [
      'a regular expression',
      /normalizer\.pattern\.Regex: the expression/,
      (json) => (json.normalizer = { type: 'Replace', pattern: { Regex: '\\bx' }, content: ' ' }),
    ],
    [
      'another pre-tokenizer',
      /pre_tokenizer\.type.*"UnicodeScripts"/,
      (json) => (json.pre_tokenizer = { type: 'UnicodeScripts' }),
    ],
    [
      'another split',
      /pre_tokenizer\.behavior.*"Doubled"/,
      (json) => Object.assign(json.pre_tokenizer as object, { behavior: 'Doubled' }),
    ],
    [
      'a separator of two characters',
      /pre_tokenizer\.replacement: expected one character/,
      (json) => (json.pre_tokenizer = { type: 'Metaspace', replacement: '▁▁' }),
    ],
    [
      'a separator that is prepended and is not',
      /pre_tokenizer: expected the prepend_scheme "never" where add_prefix_space is false/,
      (json) =>
        (json.pre_tokenizer = {
          type: 'Metaspace',
          replacement: '▁',
          add_prefix_space: false,
          prepend_scheme: 'first',
        }),
    ],
    [
      'bytes that do not say whether a space stands in front',
      /pre_tokenizer\.add_prefix_space/,
      (json) => (json.pre_tokenizer = { type: 'ByteLevel' }),
    ],
    [
      'an expression that is none',
      /pre_tokenizer\.pretokenizers\[1\]\.pattern\.Regex: the expression has "\\w", which is not supported/,
      (json) => {
        const splits = ['a', String.raw`\w`].map((Regex) => ({
          type: 'Split',
          pattern: { Regex },
          behavior: 'Isolated',
          invert: false,
        }));
        json.pre_tokenizer = { type: 'Sequence', pretokenizers: splits };
      },
    ],
    [
      'a post-processor without a name',
      /post_processor\.type/,
      (json) => (json.post_processor = { single: [] }),
    ],
    [
      'a template that is none',
      /post_processor\.single\[2\]/,
      (json) => (json.post_processor as { single: unknown[] }).single.push({ Token: 3 }),
    ],
    [
      'a sequence of what is not supported',
      /pre_tokenizer\.pretokenizers\[0\]\.type.*"UnicodeScripts"/,
      (json) => (json.pre_tokenizer = { type: 'Sequence', pretokenizers: [{ type: 'UnicodeScripts' }] }),
    ],
    ['no decoder', /decoder/, (json) => (json.decoder = null)],
    [
      'an unknown decoder',
      /decoder\.decoders\[0\]\.type.*"CTC"/,
      (json) => (json.decoder = { type: 'Sequence', decoders: [{ type: 'CTC' }] }),
    ],
    [
      'decoders in another order',
      /decoder: expected in the order Replace, ByteFallback, Fuse/,
      (json) => (json.decoder = { type: 'Sequence', decoders: [{ type: 'Fuse' }, replaceDecoder] }),
    ],
    [
      'a byte-level decoder among others',
      /decoder: expected in the order .* or ByteLevel, Metaspace, WordPiece alone/,
      (json) => (json.decoder = { type: 'Sequence', decoders: [{ type: 'ByteLevel' }, { type: 'Fuse' }] }),
    ],
    [
      'pieces that are stripped one by one',
      /decoder: expected in the order .*Strip after a Fuse/,
      (json) => (json.decoder = { type: 'Strip', content: ' ', start: 1, stop: 0 }),
    ],
    [
      'a text that is stripped at its end',
      /decoder\.decoders\[1\]\.stop/,
      (json) => {
        const strip = { type: 'Strip', content: ' ', start: 0, stop: 1 };
        json.decoder = { type: 'Sequence', decoders: [{ type: 'Fuse' }, strip] };
      },
    ],
  ])('is refused by the name of the field: %s', async (_, message, change) => {
    expect((await refusal(change)).message).toMatch(message);
  });
});

describe('a damaged vocabulary', () => {
  it.each<[string, RegExp, (json: TokenizerJson) => void]>([
    [
      'a list',
      /model\.vocab: expected an object/,
      ({ model }) => (model.vocab = [] as unknown as Record<string, unknown>),
    ],
    ['missing', /model\.vocab/, ({ model }) => delete (model as Partial<typeof model>).vocab],
    ['an id that is text', /model\.vocab\["The"\].*"321"/, ({ model }) => (model.vocab.The = '321')],
    ['an id with a fraction', /model\.vocab\["The"\].*321\.5/, ({ model }) => (model.vocab.The = 321.5)],
    ['a negative id', /model\.vocab\["The"\].*-1/, ({ model }) => (model.vocab.The = -1)],
    ['a huge id', /"The" has id 4000000000, but there are only 560/, ({ model }) => (model.vocab.The = 4e9)],
    ['one id twice', /id 322 belongs to both/, ({ model }) => (model.vocab.The = 322)],
    ['a hole', /has id 559, but there are only 559/, ({ model }) => delete model.vocab['▁the']],
    [
      'an added token under another id',
      /"<mask>" has id 900, but 4/,
      ({ added_tokens }) => (added_tokens.find(({ content }) => content === '<mask>')!.id = 900),
    ],
    [
      'an added token twice',
      /"<pad>" is listed twice/,
      (json) => json.added_tokens.push(json.added_tokens[0]!),
    ],
    [
      'merges that are none',
      /model\.merges: expected a list/,
      ({ model }) => (model.merges = 'a b' as unknown as []),
    ],
    ['a merge of three', /model\.merges\[0\]/, ({ model }) => (model.merges[0] = 'a b c')],
    ['a merge of numbers', /model\.merges\[3\]/, ({ model }) => (model.merges[3] = [1, 2])],
    ['a merge of unknown pieces', /model\.merges\[2\]: "qq"/, ({ model }) => (model.merges[2] = 'qq e')],
    ['a merge to an unknown piece', /model\.merges\[1\]: "ee"/, ({ model }) => (model.merges[1] = 'e e')],
    [
      'a merge twice',
      /model\.merges\[254\]: the same merge as number 0/,
      ({ model }) => model.merges.push(model.merges[0]),
    ],
    [
      'an unknown token that is missing',
      /model\.unk_token: "nothing" is not in/,
      ({ model }) => (model.unk_token = 'nothing'),
    ],
  ])('is refused by the place of the fault: %s', async (_, message, change) => {
    const error = await refusal(change);
    expect(error.message).toMatch(message);
    expect(error.message).toContain('tokenizer.json');
  });

  it('is refused without reserving memory for the ids it claims', async () => {
    const start = process.memoryUsage.rss();
    await refusal(({ model }) => (model.vocab.The = Number.MAX_SAFE_INTEGER));
    expect(process.memoryUsage.rss() - start).toBeLessThan(100 * 2 ** 20);
  });
});

describe('files beside it', () => {
  it('are refused when they name a token that the vocabulary has not', async () => {
    using scratch = scratchFolder();
    const tokenizerConfig = path.join(scratch.path, 'tokenizer_config.json');
    writeFileSync(tokenizerConfig, JSON.stringify({ bos_token: '<s>' }));
    const loading = loadTokenizer({ ...goldenFiles('tiny-a'), tokenizerConfig });
    await expect(loading).rejects.toThrow(/tokenizer_config\.json: field bos_token: "<s>" is no token of/);
  });

  it('may be missing for Gemma, whose names of BOS and EOS are known', async () => {
    const { tokenizerJson } = goldenFiles('tiny-a');
    const tokenizer = await loadTokenizer({ tokenizerJson });
    expect(tokenizer.pieces([tokenizer.bosId, tokenizer.eosId])).toEqual(['<bos>', '<eos>']);
  });

  it('are needed where BOS has another name', async () => {
    using scratch = scratchFolder();
    const tokenizerJson = path.join(scratch.path, 'tokenizer.json');
    const text = readFileSync(goldenFiles('tiny-a').tokenizerJson, 'utf8');
    writeFileSync(tokenizerJson, text.replaceAll('<bos>', '<start>'));
    await expect(loadTokenizer({ tokenizerJson })).rejects.toThrow(/no bos_token is declared/);
  });

  it('are reported when they are not there', async () => {
    const loading = loadTokenizer({ tokenizerJson: '/nowhere/tokenizer.json' });
    await expect(loading).rejects.toThrow(NotFoundError);
  });
});

it.each<[string, TokenizerFiles]>([
  ['tiny-a', goldenFiles('tiny-a')],
  ['llama', familyFiles('llama')],
  ['mistral', familyFiles('mistral')],
])(
  'a damaged tokenizer.json gives a typed error or a tokenizer that works, whatever the damage: %s',
  async (_, files) => {
    const original = readFileSync(files.tokenizerJson as string);
    const damage = fc.array(
      fc.record({
        at: fc.nat(original.length),
        removed: fc.nat(30),
        inserted: fc.oneof(
          fc.string({ maxLength: 8 }),
          fc.constantFrom('"', '}', ']', '-1', '1e99', 'null', '\xff'),
        ),
      }),
      { minLength: 1, maxLength: 3 },
    );
    await fc.assert(
      fc.asyncProperty(damage, async (cuts) => {
        let bytes: Buffer = original;
        for (const { at, removed, inserted } of cuts) {
          bytes = Buffer.concat([
            bytes.subarray(0, at),
            Buffer.from(inserted, 'latin1'),
            bytes.subarray(at + removed),
          ]);
        }
        try {
          const tokenizer = await loadText(bytes, files);
          const ids = tokenizer.encode('The cat  é🦊<bos>\n');
          expect(ids.every((id) => Number.isInteger(id) && id >= 0 && id < tokenizer.vocabularySize)).toBe(
            true,
          );
          expect(typeof tokenizer.decode(ids)).toBe('string');
        } catch (error) {
          expect(error).toBeInstanceOf(BadFileError);
        }
      }),
      { numRuns: 300 },
    );
  },
);
