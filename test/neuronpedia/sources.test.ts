import { describe, expect, it } from '@jest/globals';
import { neuronpediaPage } from '../../src/neuronpedia/sources.ts';

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
    expect(neuronpediaPage(scan, 3, 7)).toBe(`${SITE}/${page}`);
  });

  it.each(['embedded', 'mwhanna/gemma-scope-2-4b-it', 'somebody/else', ''])('is not known of %j', (scan) => {
    expect(neuronpediaPage(scan, 3, 7)).toBeNull();
  });
});
