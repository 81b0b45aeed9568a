import { describe, expect, it } from '@jest/globals';
import type { FeaturesFetchPlan, FeaturesFetchResult } from '../../src/engine/features/fetch-types.ts';
import { fetchView } from '../../src/report/fetch-view.ts';
import { labelOrigin } from '../../src/report/inspect-view.ts';
import { plain } from './shown.ts';

const COMMON = {
  transcoders: 'gemma',
  scan: 'gemma',
  folder: '/data/neuronpedia/gemma',
  source: 'some-model/{layer}-some',
  note: 'they differ',
  way: 'exports',
  n_features: 32768,
  n_kept: 16384,
  n_known_unknown: 0,
  layers_without_exports: [7],
} as const;

describe('what was fetched', () => {
  it('is counted layer by layer, with its source and note', () => {
    const result: FeaturesFetchResult = {
      ...COMMON,
      dry_run: false,
      n_fetched: 16000,
      n_unknown: 2,
      n_requests: 40,
      bytes: 2 ** 20,
      stopped: 'max',
      layers: [{ layer: 3, n_pages: 16001, n_labels: 15000, n_new: 16000, n_faults: 0 }],
      failed: [{ layer: 3, feature: 1, reason: 'x' }],
      timings_ms: { fetch: 2000 },
    };
    const text = fetchView(result, plain).replace(/ +/g, ' ');
    expect(text).toContain('3 16,000 16,001 15,000');
    for (const fact of [
      'fetched 16,000 pages of 32,768 features',
      'there before 16,384',
      'layers without exports 7',
      'unknown there 2',
      'answers without use 1',
      'stopped by --max',
      'received 1.00 MiB in 40 requests',
      'source Neuronpedia, some-model/{layer}-some',
      'note they differ',
    ])
      expect(text).toContain(fact);
  });

  it('is planned in requests, bytes and time', () => {
    const plan: FeaturesFetchPlan = {
      ...COMMON,
      dry_run: true,
      n_requests: 240,
      bytes: null,
      least_seconds: 60,
      layers: [{ layer: 3, n_requests: 240, bytes: null }],
    };
    const text = fetchView(plan, plain).replace(/ +/g, ' ');
    expect(text).toContain('3 240 not known');
    expect(text).toMatch(/time at least 1(?:\.0+)? min|time at least 60/);
  });
});

describe('the origin of a label from Neuronpedia', () => {
  it('names model, method, author and day, and nothing that is not known', () => {
    const label = { text: 'x', origin: 'neuronpedia', share: null } as const;
    const fetched = { type: 'np_max-act', model: 'gpt-4o', author: null, score: null, date: '2026-11-30' };
    expect(labelOrigin({ ...label, fetched })).toBe(' (from Neuronpedia, gpt-4o, np_max-act, 2026-11-30)');
    expect(
      labelOrigin({ ...label, fetched: { ...fetched, type: null, model: null, author: 'me\u001b[2J' } }),
    ).toMatch(/^ \(from Neuronpedia, me.*, 2026-11-30\)$/);
  });
});
