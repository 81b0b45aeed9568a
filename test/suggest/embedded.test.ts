/** The seven prompts of the embedded model's evaluation, and seven questions about cities and their states. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { suggestForFile, type SuggestResult } from '../../src/engine/graph/suggest.ts';
import { tracer } from '../cli/shared.ts';

const MOST_BOXES = 12;
const LEAST_PART = 0.8;
const STATES = {
  Dallas: 'Texas',
  Oakland: 'California',
  Miami: 'Florida',
  Chicago: 'Illinois',
  Detroit: 'Michigan',
  Mobile: 'Alabama',
  Seattle: 'Washington',
};
const CITIES = Object.keys(STATES);

const evaluation = JSON.parse(
  readFileSync(new URL('../../configs/embedded/evaluation.json', import.meta.url), 'utf8'),
) as { graphs: { prompt: string }[] };
const questions = CITIES.map((city) => `The capital of the state containing ${city} is`);
const prompts = [...new Set([...evaluation.graphs.map(({ prompt }) => prompt), ...questions])];

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-suggest-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const results = new Map<string, SuggestResult>();

beforeAll(async () => {
  const list = path.join(folder, 'prompts.jsonl');
  writeFileSync(list, prompts.map((prompt, i) => JSON.stringify({ slug: `p${i}`, prompt })).join('\n'));
  const { exitCode, stderr } = await tracer(['attribute', '--prompts', list, '--output', folder, '--quiet']);
  if (exitCode !== 0) throw new Error(stderr);
  for (const [i, prompt] of prompts.entries())
    results.set(prompt, await suggestForFile(path.join(folder, `p${i}.safetensors`)));
}, 240_000);

describe('circuits of the embedded model', () => {
  it.each(evaluation.graphs.map(({ prompt }) => prompt))('%s: few boxes, nearly complete', (prompt) => {
    const { boxes, scores } = results.get(prompt)!;
    expect(boxes.length).toBeLessThanOrEqual(MOST_BOXES);
    expect(scores.suggested.completeness).toBeGreaterThanOrEqual(LEAST_PART * scores.pruned.completeness);
    expect(scores.suggested.completeness).toBeGreaterThanOrEqual(LEAST_PART * scores.greedy.completeness);
  });

  it.each(Object.entries(STATES))('the state of %s, %s, is one box', (city, state) => {
    const { boxes } = results.get(questions[CITIES.indexOf(city)]!)!;
    const named = boxes.filter(({ name }) => name.includes(state));
    expect(named.map(({ kind }) => kind)).toEqual(['feature']);
  });

  it.each(CITIES)('what the model makes of %s is one box that leads to the answer', (city) => {
    const { boxes, links } = results.get(questions[CITIES.indexOf(city)]!)!;
    const answer = boxes.findIndex(({ kind }) => kind === 'logit');
    const strongest = links.find(({ target }) => target === answer)!;
    const box = boxes[strongest.source]!;
    expect(box.kind).toBe('feature');
    expect(strongest.weight).toBeGreaterThan(0);
    const fromCity = links.some(
      ({ source, target }) =>
        target === strongest.source && boxes[source]!.kind === 'feature' && boxes[source]!.positions[0] === 7,
    );
    expect(fromCity || box.positions[0] === 7).toBe(true);
  });
});
