import { describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { Random } from '../../src/training/random.ts';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import { readFacts } from '../../training/corpus/facts.ts';
import { nameTokens, prepare } from '../../training/corpus/prepare.ts';
import { interchangeSource, questionSource } from '../../training/corpus/interchanges.ts';
import { keptAsideCities } from '../../training/corpus/questions.ts';
import { RowStream } from '../../training/corpus/stream.ts';
import { fill, promptOf } from '../../training/corpus/template.ts';
import { scratchFolder } from '../support/scratch.ts';

const facts = readFacts(join(import.meta.dirname, '../../training'));

describe('a template', () => {
  it.each([
    ['{A:name} {says}.', 'An owl hoots.'],
    ['What does {a:name} do?', 'What does an owl do?'],
    ['{Name}', 'Owl'],
    ['{name} of {missing}', null],
  ])('%s becomes %s', (template, sentence) => {
    expect(fill(template, { name: 'owl', says: 'hoots', missing: null })).toBe(sentence);
  });

  it('asks for what stands last', () => {
    expect(promptOf('The capital of {state} is {capital}.', 'capital')).toBe('The capital of {state} is');
    expect(promptOf('{capital} is the capital of {state}.', 'capital')).toBeNull();
  });
});

describe('the corpus', () => {
  it('joins no two facts about a held-out city, and is the same every time', async () => {
    using scratch = scratchFolder();
    const { corpus, tokenizer, tokenized, used } = await prepare(facts, scratch.path);
    const joined = [...corpus.two_hop, ...corpus.two_hop_region].join(' ');
    const heldOut = facts.states.flatMap(({ held_out }) => held_out);
    expect(heldOut.length).toBeGreaterThan(30);
    for (const city of heldOut) expect(joined).not.toMatch(new RegExp(`\\b${city}\\b`));
    const again = await prepare(facts, join(scratch.path, 'again'));
    expect(again.corpus).toEqual(corpus);
    expect(again.used).toEqual(used);
    const rows = (seed: number) => new RowStream(tokenized, facts, new Random(seed)).batch(8);
    expect(rows(3)).toEqual(rows(3));
    const row = rows(3)[0]!.map((place) => used[place]!);
    expect([row[0], row.at(-1)]).toEqual([tokenizer.bosId, tokenizer.eosId]);
  });

  it('never exchanges features of cities or wordings that are kept aside', async () => {
    using scratch = scratchFolder();
    const prepared = await prepare(facts, scratch.path);
    const draw = interchangeSource(prepared, new Random(1));
    const aside = new Set(keptAsideCities(facts).map((city) => prepared.tokenizer.encode(` ${city}`).join()));
    expect(aside.size).toBeGreaterThan(20);
    for (let i = 0; i < 200; i++) {
      const { prompts, position, sources, answers } = draw();
      const texts = prompts.map((prompt) => prompt.map((place) => prepared.used[place]!));
      for (const text of texts) expect(aside).not.toContain(String(text[position]));
      expect(prepared.tokenizer.decode(texts[0]!)).not.toMatch(
        /^<bos>(Q: What is the capital of the state|The capital city of the state)/,
      );
      const n = prompts.length;
      expect(answers).toHaveLength(n);
      for (let r = 0; r < n; r++) {
        const weights = sources.subarray(r * n, (r + 1) * n);
        expect(weights.reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1, 5);
        expect(weights[r]).toBe(0);
      }
    }
  });
});

describe('questions whose subjects are to be rebuilt', () => {
  it('ask two-hop questions about no city that is held out of them', async () => {
    using scratch = scratchFolder();
    const prepared = await prepare(facts, scratch.path);
    const draw = questionSource(prepared, new Random(1));
    const heldOut = new Set(facts.states.flatMap(({ held_out }) => held_out));
    const seen = { city_state: 0, two_hop: 0 };
    for (let i = 0; i < 60; i++) {
      const { prompts, position } = draw();
      const texts = prompts.map((prompt) => prompt.map((place) => prepared.used[place]!));
      const isTwoHop = /capital/.test(prepared.tokenizer.decode(texts[0]!));
      seen[isTwoHop ? 'two_hop' : 'city_state'] += 1;
      const cities = texts.map((text) => prepared.tokenizer.decode([text[position]!]).trim());
      if (isTwoHop) expect(cities.filter((city) => heldOut.has(city))).toEqual([]);
    }
    expect(Math.min(seen.city_state, seen.two_hop)).toBeGreaterThan(10);
  });
});

describe('the tokenizer', () => {
  it('makes one token of every word, with and without its space, and loses no text', async () => {
    using scratch = scratchFolder();
    const prepared = await prepare(facts, scratch.path);
    const tokenizer = await loadTokenizer({
      tokenizerJson: join(scratch.path, 'tokenizer.json'),
      tokenizerConfig: join(scratch.path, 'tokenizer_config.json'),
      specialTokensMap: join(scratch.path, 'special_tokens_map.json'),
      cacheDir: join(scratch.path, 'cache'),
    });
    expect(tokenizer.tokenStrings(tokenizer.modelInput('Dallas is in Dallas.'))).toEqual([
      '<bos>',
      'Dallas',
      ' is',
      ' in',
      ' Dallas',
      '.',
    ]);
    expect(tokenizer.tokenStrings(tokenizer.encode('5+13'))).toEqual(['5', '+', '1', '3']);
    for (const text of ['Hello, world!', 'naïve ünïcode ✓', '  two  spaces\nand a line']) {
      expect(tokenizer.decode(tokenizer.encode(text))).toBe(text);
    }
    for (const sentences of Object.values(prepared.corpus)) {
      for (const sentence of sentences.slice(0, 50)) {
        const words = sentence.match(/[A-Za-z]+/g) ?? [];
        const strings = tokenizer.tokenStrings(tokenizer.encode(sentence)).map((token) => token.trim());
        for (const word of words) expect(strings).toContain(word);
      }
    }
    expect(nameTokens(prepared).reduce((sum, one) => sum + one, 0)).toBeGreaterThan(500);
  });
});
