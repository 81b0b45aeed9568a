import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import { scratchFolder } from '../support/scratch.ts';
import { goldenFiles, loadChanged, loadText } from './support.ts';
import type { TokenizerJson } from './support.ts';

const TEXTS = ['the cat sat  to', 'é🦊\n<end_of_turn> x', '<bos>Hello there', ' '];
const [BOS, EOS] = [2, 1];

const plain = await loadTokenizer(goldenFiles('tiny-a'));

type Change = (json: TokenizerJson) => void;

const sequence = (field: string, ...steps: unknown[]) => ({ type: 'Sequence', [field]: steps });
const split = (separator: string) => ({
  type: 'Split',
  pattern: { String: separator },
  behavior: 'MergedWithPrevious',
  invert: false,
});
const byteLevel = { type: 'ByteLevel', add_prefix_space: true, trim_offsets: true, use_regex: true };
const text = { Sequence: { id: 'A', type_id: 0 } };
const token = (id: string) => ({ SpecialToken: { id, type_id: 0 } });
const IDS = { '<bos>': BOS, '<eos>': EOS, '<start_of_turn>': 5 };
const template = (...single: unknown[]) => ({
  type: 'TemplateProcessing',
  single,
  pair: [...single, { Sequence: { id: 'B', type_id: 1 } }],
  special_tokens: Object.fromEntries(
    Object.entries(IDS).map(([id, number]) => [id, { id, ids: [number], tokens: [id] }]),
  ),
});
const usual = template(token('<bos>'), text);

describe('a tokenizer with a part in a Sequence', () => {
  const inSequence =
    (part: string, field: string, depth = 1): Change =>
    (json) => {
      for (let i = 0; i < depth; i++) json[part] = sequence(field, json[part]);
    };
  it.each<[string, Change]>([
    ['the normalizer', inSequence('normalizer', 'normalizers')],
    ['the normalizer, twice', inSequence('normalizer', 'normalizers', 2)],
    ['the pre-tokenizer', inSequence('pre_tokenizer', 'pretokenizers')],
    ['the pre-tokenizer, three times', inSequence('pre_tokenizer', 'pretokenizers', 3)],
    ['the post-processor', inSequence('post_processor', 'processors')],
    ['the post-processor, twice', inSequence('post_processor', 'processors', 2)],
    ['the decoder', inSequence('decoder', 'decoders')],
    ['ByteLevel first', (json) => (json.post_processor = sequence('processors', byteLevel, usual))],
    ['ByteLevel last', (json) => (json.post_processor = sequence('processors', usual, byteLevel))],
    ['no post-processor', (json) => (json.post_processor = null)],
    ['no post-processor that does anything', (json) => (json.post_processor = byteLevel)],
    ['an empty post-processor', (json) => (json.post_processor = sequence('processors'))],
  ])('is the same as without: %s', async (_, change) => {
    const changed = await loadChanged(change);
    for (const one of TEXTS) {
      const ids = plain.promptIds(one, 'always');
      expect(changed.promptIds(one, 'always')).toEqual(ids);
      expect(changed.decode(ids)).toBe(plain.decode(ids));
    }
    expect(changed.otherTemplate).toBeNull();
  });

  it('splits at the separators of all steps, as the tokenizers library does', async () => {
    const changed = await loadChanged((json) => {
      json.normalizer = null;
      json.pre_tokenizer = sequence('pretokenizers', split(' '), sequence('pretokenizers', split('h')));
    });
    expect(changed.encode('the cat sat  to')).toEqual([
      298, 286, 283, 39, 281, 324, 39, 297, 324, 39, 39, 298, 293,
    ]);
    expect(changed.encode('Hello there')).toEqual([269, 283, 290, 290, 293, 39, 298, 286, 322, 283]);
  });

  it('may have a decoder of one step', async () => {
    const changed = await loadChanged((json) => (json.decoder = { type: 'Fuse' }));
    expect(changed.decode([298, 306, 435])).toBe(plain.pieces([298, 306, 435]).join(''));
  });

  it('is refused when sequences are nested without end', async () => {
    const depth = 50_000;
    const nested = `${'{"type":"Sequence","normalizers":['.repeat(depth)}${']}'.repeat(depth)}`;
    const json = readFileSync(goldenFiles('tiny-a').tokenizerJson, 'utf8');
    await expect(
      loadText(json.replace(/"normalizer": \{[^}]*\}[^}]*\}/, `"normalizer": ${nested}`)),
    ).rejects.toMatchObject({
      exitCode: 4,
      message: expect.stringMatching(
        /normalizer\.normalizers.*type: expected \("Replace".*, found "Sequence"/,
      ),
    });
  });
});

describe('a tokenizer that puts other tokens around a text', () => {
  it.each<[string, unknown, string]>([
    ['<eos> behind', template(token('<bos>'), text, token('<eos>')), '<bos> $A <eos>'],
    ['no <bos>', template(text), '$A'],
    ['<eos> alone', template(text, token('<eos>')), '$A <eos>'],
    ['<eos> in front', template(token('<eos>'), text), '<eos> $A'],
    ['another token in front', template(token('<start_of_turn>'), text), '<start_of_turn> $A'],
    ['<bos> twice', template(token('<bos>'), token('<bos>'), text), '<bos> <bos> $A'],
    ['the text in front of <bos>', template(text, token('<bos>')), '$A <bos>'],
    [
      'two templates',
      sequence('processors', usual, byteLevel, template(text, token('<eos>'))),
      '<bos> $A <eos>',
    ],
    ['a token that it does not define', { ...template(token('<x>'), text), special_tokens: {} }, '<x> $A'],
    [
      'another processor',
      { type: 'BertProcessing', sep: ['<eos>', 1], cls: ['<bos>', 2] },
      'BertProcessing $A',
    ],
  ])('is used, with BOS in front and nothing else, and says so: %s', async (_, processor, expected) => {
    const changed = await loadChanged((json) => (json.post_processor = processor));
    for (const one of TEXTS) {
      expect(changed.promptIds(one, 'always')).toEqual([BOS, ...plain.encode(one)]);
      expect(changed.promptIds(one, 'unless_special_first')).toEqual(
        plain.promptIds(one, 'unless_special_first'),
      );
    }
    expect(changed.otherTemplate).toBe(expected);
  });

  it.each<[object, string]>([
    [{ add_eos_token: true }, '<bos> $A <eos>'],
    [{ add_bos_token: false }, '$A'],
    [{ add_bos_token: false, add_eos_token: true }, '$A <eos>'],
  ])('may say so in tokenizer_config.json alone: %j', async (flags, expected) => {
    using scratch = scratchFolder();
    const tokenizerConfig = path.join(scratch.path, 'tokenizer_config.json');
    writeFileSync(tokenizerConfig, JSON.stringify({ bos_token: '<bos>', eos_token: '<eos>', ...flags }));
    const changed = await loadTokenizer({ ...goldenFiles('tiny-a'), tokenizerConfig });
    expect(changed.promptIds('Hello', 'always')).toEqual(plain.promptIds('Hello', 'always'));
    expect(changed.otherTemplate).toBe(expected);
  });
});
