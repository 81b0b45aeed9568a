import { describe, expect, it } from '@jest/globals';
import { neuronpediaPage, neuronpediaSource, setOfSource } from '../../src/neuronpedia/sources.ts';

const SITE = 'https://www.neuronpedia.org';

describe('the page of a feature on Neuronpedia', () => {
  it.each([
    ['gemma', 'gemma-2-2b/3-gemmascope-transcoder-16k/7'],
    ['mwhanna/gemma-scope-transcoders', 'gemma-2-2b/3-gemmascope-transcoder-16k/7'],
    ['mwhanna-gemma-scope-transcoders', 'gemma-2-2b/3-gemmascope-transcoder-16k/7'],
    ['mntss/clt-gemma-2-2b-2.5M', 'gemma-2-2b/3-clt-hp/7'],
    ['mwhanna/qwen3-4b-transcoders', 'qwen3-4b/3-transcoder-hp/7'],
    [
      'mwhanna/gemma-scope-2-4b-it//transcoder_all/width_262k_l0_small_affine',
      'gemma-3-4b-it/3-gemmascope-2-transcoder-262k/7',
    ],
    [
      'mwhanna/gemma-scope-2-4b-it/transcoder_all/width_16k_l0_small_affine',
      'gemma-3-4b-it/3-gemmascope-2-transcoder-16k/7',
    ],
  ])('of %s is the one that its preset names', (scan, page) => {
    expect(neuronpediaPage(scan, 3, 7)?.address).toBe(`${SITE}/${page}`);
  });

  it('says of all 26 layers of Gemma Scope, and of no other set, that activations there differ', () => {
    for (let layer = 0; layer < 26; layer++) {
      expect(neuronpediaPage('mwhanna/gemma-scope-transcoders', layer, 7)!.note).toContain('unnormalised');
    }
    for (const scan of ['mntss/clt-gemma-2-2b-2.5M', 'mwhanna/qwen3-4b-transcoders']) {
      expect(neuronpediaPage(scan, 3, 7)!.note).toBeNull();
    }
  });

  it('leads back to the name of the set', () => {
    const source = neuronpediaSource('mntss-clt-gemma-2-2b-2.5M')!;
    expect(source).toEqual({ model: 'gemma-2-2b', set: 'clt-hp' });
    expect(setOfSource(source)).toEqual({
      scan: 'mntss/clt-gemma-2-2b-2.5M',
      transcoders: 'mntss/clt-gemma-2-2b-2.5M',
      model: 'google/gemma-2-2b',
    });
    expect(setOfSource({ model: 'gemma-3-4b-it', set: 'gemmascope-2-transcoder-16k' })).toMatchObject({
      scan: 'mwhanna/gemma-scope-2-4b-it//transcoder_all/width_16k_l0_small_affine',
      transcoders: 'mwhanna/gemma-scope-2-4b-it',
    });
    expect(setOfSource({ model: 'gemma-2-2b', set: 'unknown' })).toBeNull();
  });

  it.each(['embedded', 'mwhanna/gemma-scope-2-4b-it', 'somebody/else', ''])('is not known of %j', (scan) => {
    expect(neuronpediaPage(scan, 3, 7)).toBeNull();
  });
});
