import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import { loadTokenizer } from '../../src/tokenizer/load.ts';
import { processorMs } from '../support/processor-time.ts';
import { scratchFolder } from '../support/scratch.ts';
import { familyFiles, readFamilyJson } from './support.ts';
import type { Family, TokenizerJson } from './support.ts';

const VOCABULARY = 150_000;
/** It takes 8 to 17 ms; reading the JSON again takes 300 and more. Processor time: other programs do not change it. */
const WARM_START_MS = 50;
const N_STARTS = 7;

/** A fixture's tokenizer with more words: each is one that was there before it and one character more. */
function grown(family: Family): TokenizerJson {
  const json = readFamilyJson<TokenizerJson>(family, 'model', 'tokenizer.json');
  const { vocab, merges } = json.model;
  const added = new Set(json.added_tokens.map(({ content }) => content));
  for (const content of added) delete vocab[content];
  const words = Object.keys(vocab);
  const letters = words.filter((word) => word.length === 1);
  for (let i = 0; words.length < VOCABULARY - added.size; i++) {
    const left = words[Math.floor(i / letters.length)]!;
    const right = letters[i % letters.length]!;
    if (left + right in vocab) continue;
    vocab[left + right] = 0;
    words.push(left + right);
    merges.push([left, right]);
  }
  words.forEach((word, id) => (vocab[word] = id));
  json.added_tokens.forEach((token, i) => (token.id = words.length + i));
  return json;
}

describe.each<Family>(['llama', 'qwen3', 'gpt-oss'])(`${VOCABULARY} tokens by the rules of %s`, (family) => {
  const folder = scratchFolder();
  afterAll(() => folder[Symbol.dispose]());

  it(`start in less than ${WARM_START_MS} ms once they have been compiled, and are the same`, async () => {
    const tokenizerJson = path.join(folder.path, 'tokenizer.json');
    writeFileSync(tokenizerJson, JSON.stringify(grown(family)));
    const files = { ...familyFiles(family), tokenizerJson, cacheDir: folder.path };
    const first = await loadTokenizer(files);
    expect(first.vocabularySize).toBe(VOCABULARY);
    const startsMs: number[] = [];
    for (let i = 0; i < N_STARTS; i++) {
      const start = processorMs();
      const tokenizer = await loadTokenizer(files);
      startsMs.push(processorMs() - start);
      const text = 'The cat’s 12345 naïve\n\n  words <think> 🦊';
      expect(tokenizer.encode(text)).toEqual(first.encode(text));
      expect(tokenizer.decode(first.encode(text))).toBe(text);
    }
    expect(Math.min(...startsMs)).toBeLessThan(WARM_START_MS);
  });
});
