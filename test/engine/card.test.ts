import { describe, expect, it } from '@jest/globals';
import { cardOf } from '../../src/engine/train/card.ts';
import { smallRecipe } from '../trainer/small.ts';

function card(modelName: string, corpus: readonly string[]): string {
  const record = {
    modelName,
    identity: { corpus: corpus.map((name) => `digest-of-${name}`).join(',') },
    layersOfSet: [0],
    context: 16,
    corpus: [...corpus],
  };
  const recipe = smallRecipe({ layers: [0] });
  return cardOf({ recipe, record, output: '/there/set', n_tokens: 10, endedEarly: false, evaluation: null });
}

describe('The card of a set', () => {
  it('names a repository, and of a local model the name alone', () => {
    expect(card('owner/name', ['a.txt'])).toContain('| model | owner/name |');
    const local = card('/home/somebody/models/mine', ['a.txt']);
    expect(local).toContain('| model | mine |');
    expect(local).not.toContain('somebody');
    expect(card('./mine', ['a.txt'])).toContain('--model mine ');
  });

  it('names the files of a corpus, and of many their number and one digest', () => {
    const few = card('owner/name', ['a.txt', 'b.txt']);
    expect(few).toContain('| corpus | a.txt, b.txt |');
    expect(few).toContain('--corpus a.txt b.txt ');
    expect(card('owner/name', ['a.txt'])).toContain('| fingerprint of the corpus | digest-of-a.txt |');
    const many = card(
      'owner/name',
      Array.from({ length: 600 }, (_, i) => `${i}.md`),
    );
    expect(many).toContain('| corpus | 600 files |');
    expect(many).toMatch(/\| fingerprint of the corpus \| [0-9a-f]{64} \|/);
    expect(many).toContain('--corpus FILES ');
    expect(many.length).toBeLessThan(3000);
  });
});
