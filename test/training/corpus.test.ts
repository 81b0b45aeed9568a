import { describe, expect, it } from '@jest/globals';
import { join } from 'node:path';
import { Random } from '../../src/random.ts';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import { readFacts, RELATIONS } from '../../training/corpus/facts.ts';
import { nameTokens, prepare, type Prepared } from '../../training/corpus/prepare.ts';
import { interchangeSource, questionSource } from '../../training/corpus/interchanges.ts';
import { keptAsideCities } from '../../training/corpus/questions.ts';
import { RowStream, rowsOfAll, type TokenizedCorpus } from '../../training/corpus/stream.ts';
import { fill, promptOf } from '../../training/corpus/template.ts';
import { scratchFolder } from '../support/scratch.ts';

const facts = readFacts(join(import.meta.dirname, '../../training'));

function isHeldOut({ parts, tokenizer }: Prepared, question: readonly number[]): boolean {
  return parts.heldOutQuestions.has(tokenizer.decode(question).replace('<bos>', ''));
}

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
  it('is the same every time, and so are the rows of a seed', async () => {
    using scratch = scratchFolder();
    const { parts, tokenizer, trained, used } = await prepare(facts, scratch.path);
    const again = await prepare(facts, join(scratch.path, 'again'));
    expect(again.parts).toEqual(parts);
    expect(again.used).toEqual(used);
    const rows = (seed: number) => new RowStream(trained, facts, new Random(seed)).batch(8);
    expect(rows(3)).toEqual(rows(3));
    const row = rows(3)[0]!.map((place) => used[place]!);
    expect([row[0], row.at(-1)]).toEqual([tokenizer.bosId, tokenizer.eosId]);
  });

  it('joins no two facts about a held-out city where it is trained', async () => {
    using scratch = scratchFolder();
    const { parts } = await prepare(facts, scratch.path);
    const joined = [...parts.trained.two_hop, ...parts.trained.two_hop_region]
      .map(({ text }) => text)
      .join(' ');
    const heldOut = facts.states.flatMap(({ held_out }) => held_out);
    expect(heldOut.length).toBeGreaterThan(30);
    for (const city of heldOut) expect(joined).not.toMatch(new RegExp(`\\b${city}\\b`));
  });

  it('holds out a part of every relation, from which each fact and word can still be learned', async () => {
    using scratch = scratchFolder();
    const { parts, trained, heldOut, used } = await prepare(facts, scratch.path);
    const known = new Set(Object.values(parts.trained).flatMap((all) => all.map(({ text }) => text)));
    const heldOutCities = new Set(facts.states.flatMap(({ held_out }) => held_out));
    let n = 0;
    for (const relation of RELATIONS) {
      const sources = new Set(parts.trained[relation].map(({ source }) => source));
      expect(parts.heldOut[relation].length).toBeGreaterThan(0);
      n += parts.heldOut[relation].length;
      for (const { text, source, fields } of parts.heldOut[relation]) {
        expect(known.has(text)).toBe(false);
        const joins = relation === 'two_hop' || relation === 'two_hop_region';
        if (!(joins && heldOutCities.has(String(fields.city)))) expect(sources.has(source)).toBe(true);
      }
    }
    const share = n / (n + known.size);
    expect(share).toBeGreaterThan(0.1);
    expect(share).toBeLessThan(0.2);
    const tokens = ({ sentences }: TokenizedCorpus) =>
      new Set(
        Object.values(sentences).flatMap((all) => all.flatMap(({ first, later }) => [...first, ...later])),
      );
    const learned = tokens(trained);
    expect(learned.size).toBe(used.length - 2); // <bos> and <eos>
    expect([...tokens(heldOut)].filter((place) => !learned.has(place))).toEqual([]);
  });

  it('can be read in rows that hold each sentence once', async () => {
    using scratch = scratchFolder();
    const { parts, heldOut, tokenizer, used } = await prepare(facts, scratch.path);
    const rows = rowsOfAll(heldOut, new Random(1));
    const decoded = rows.map((row) => tokenizer.decode(row.slice(1, -1).map((place) => used[place]!)));
    const texts = RELATIONS.flatMap((relation) => parts.heldOut[relation].map(({ text }) => text));
    expect(rows.length).toBeLessThan(texts.length);
    const characters = (all: readonly string[]): string =>
      [...all.join('').replaceAll(' ', '')].sort().join('');
    expect(characters(decoded)).toBe(characters(texts));
    for (const text of texts.slice(0, 100)) expect(decoded.some((row) => row.includes(text))).toBe(true);
  });

  it('never exchanges features of cities or wordings that are kept aside, or in questions that are held out', async () => {
    using scratch = scratchFolder();
    const prepared = await prepare(facts, scratch.path);
    const draw = interchangeSource(prepared, new Random(1));
    const aside = new Set(keptAsideCities(facts).map((city) => prepared.tokenizer.encode(` ${city}`).join()));
    expect(aside.size).toBeGreaterThan(20);
    for (let i = 0; i < 200; i++) {
      const { prompts, position, sources, answers, donors } = draw();
      const texts = prompts.map((prompt) => prompt.map((place) => prepared.used[place]!));
      for (const text of texts) expect(aside).not.toContain(String(text[position]));
      for (const text of [
        ...texts,
        ...(donors?.prompts ?? []).map((prompt) => prompt.map((place) => prepared.used[place]!)),
      ])
        expect(isHeldOut(prepared, text)).toBe(false);
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
  it('are not held out, and two-hop ones are about no city that is held out of them', async () => {
    using scratch = scratchFolder();
    const prepared = await prepare(facts, scratch.path);
    const draw = questionSource(prepared, new Random(1));
    const heldOut = new Set(facts.states.flatMap(({ held_out }) => held_out));
    const seen = { city_state: 0, two_hop: 0 };
    for (let i = 0; i < 60; i++) {
      const { prompts, position } = draw();
      const texts = prompts.map((prompt) => prompt.map((place) => prepared.used[place]!));
      for (const text of texts) expect(isHeldOut(prepared, text)).toBe(false);
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
    expect(tokenizer.tokenStrings(tokenizer.promptIds('Dallas is in Dallas.', 'always'))).toEqual([
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
    for (const sentences of Object.values(prepared.parts.trained)) {
      for (const { text } of sentences.slice(0, 50)) {
        const words = text.match(/[A-Za-z]+/g) ?? [];
        const strings = tokenizer.tokenStrings(tokenizer.encode(text)).map((token) => token.trim());
        for (const word of words) expect(strings).toContain(word);
      }
    }
    expect(nameTokens(prepared).reduce((sum, one) => sum + one, 0)).toBeGreaterThan(500);
  });
});
