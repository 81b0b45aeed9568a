/** The forms of a link to a published graph. */
import { describe, expect, it } from '@jest/globals';
import { TracerError } from '../../src/errors.ts';
import { neuronpediaAddress } from '../../src/neuronpedia/address.ts';
import { graphPage, parseGraphLink } from '../../src/neuronpedia/link.ts';

const SITE = neuronpediaAddress({}, {});
const OWN = neuronpediaAddress({ baseUrl: 'https://np.example/site' }, {});
const DALLAS = { kind: 'record', model: 'gemma-2-2b', slug: 'dallas' };

describe('a link to a graph', () => {
  it.each([
    'https://www.neuronpedia.org/gemma-2-2b/graph?slug=dallas',
    'https://neuronpedia.org/gemma-2-2b/graph?pruningThreshold=0.5&slug=dallas#top',
    'http://www.neuronpedia.org/gemma-2-2b/graph/dallas',
    'https://www.neuronpedia.org/api/graph/gemma-2-2b/dallas',
    'gemma-2-2b/dallas',
  ])('%s names a model and a graph', (text) => {
    expect(parseGraphLink(text, SITE).place).toEqual(DALLAS);
  });

  it('to a page carries its query and its saved subgraph', () => {
    const query = '?slug=dallas&pinnedIds=1_2_3%2C4_5_6&subgraph=abc';
    expect(parseGraphLink(`https://www.neuronpedia.org/gemma-2-2b/graph${query}`, SITE)).toEqual({
      place: DALLAS,
      query,
      subgraph: 'abc',
    });
  });

  it('may be the address of a JSON anywhere, with the query that signs it', () => {
    const url = 'https://storage.example/graphs/dallas.json?signature=1';
    expect(parseGraphLink(`${url}#x`, SITE)).toEqual({
      place: { kind: 'json', url },
      query: '',
      subgraph: null,
    });
  });

  it('is read below the path of another site, and written back', () => {
    const page = graphPage(OWN, { model: 'gemma-2-2b', slug: 'dallas' }, 'abc');
    expect(page).toBe('https://np.example/site/gemma-2-2b/graph?slug=dallas&subgraph=abc');
    expect(parseGraphLink(page, OWN)).toMatchObject({ place: DALLAS, subgraph: 'abc' });
  });

  it.each([
    'dallas',
    '',
    'https://www.neuronpedia.org/gemma-2-2b/graph',
    'https://www.neuronpedia.org/gemma-2-2b/3-gemmascope-transcoder-16k/7',
    'https://elsewhere.example/gemma-2-2b/graph?slug=dallas&token=secret',
    'https://me:secret@www.neuronpedia.org/gemma-2-2b/graph?slug=dallas',
    'file:///etc/graph.json',
    '../dallas',
    'gemma-2-2b/..',
    'https://www.neuronpedia.org/gemma-2-2b/graph?slug=..',
    'https://www.neuronpedia.org/api/graph/%20/dallas',
  ])('is refused when it is none: %j', (text) => {
    const refuse = () => parseGraphLink(text, SITE);
    expect(refuse).toThrow(TracerError);
    expect(refuse).toThrow('is no link to a graph');
  });

  it('with a password in it is refused without repeating it', () => {
    expect.assertions(2);
    try {
      parseGraphLink('https://me:secret@www.neuronpedia.org/gemma-2-2b/graph?slug=dallas', SITE);
    } catch (error) {
      expect((error as TracerError).message).toContain('https://www.neuronpedia.org/gemma-2-2b/graph');
      expect((error as TracerError).message).not.toMatch(/me:|secret/);
    }
  });

  it('to another site is refused with the flag that names it, and without its query', () => {
    expect.assertions(3);
    try {
      parseGraphLink('https://elsewhere.example/gemma-2-2b/graph?slug=dallas&token=secret', SITE);
    } catch (error) {
      const { message, hint, exitCode } = error as TracerError;
      expect(exitCode).toBe(2);
      expect(hint).toContain('--base-url');
      expect(message).not.toContain('secret');
    }
  });
});
