/** A page's data for tests of its formats. */
import type { Paper, PaperBox, PaperMember } from '../../src/paper/paper.ts';

/** A paper in which every text from outside is `text`. */
export function madePaper(text: string, changes: Partial<Paper> = {}): Paper {
  const member = (changes: Partial<PaperMember>): PaperMember => ({
    ...{ id: text, kind: 'feature', layer: 1, feature: 392, position: 1, token: text, activation: 6.9 },
    ...{ influence: 0.178, label: { text, origin: 'automatic' } },
    examples: [{ tokens: [text, text, text], strongest: 1, is_cut: { before: true, after: false } }],
    ...changes,
  });
  const box = (kind: PaperBox['kind'], members: PaperMember[]): PaperBox => ({
    ...{ name: text, kind, is_supernode: kind === 'feature', members },
  });
  const source = { name: text, revision: text, config_sha256: text };
  const file = { name: text, bytes: 9784, sha256: 'ab'.repeat(32) };
  const scores = { replacement: 0.65, completeness: 0.8885 };
  return {
    title: text,
    prompt: text,
    tokens: ['<bos>', text],
    targets: [
      { token: text, token_id: 3212, probability: 0.999 },
      { token: text, token_id: null, probability: 0.0004 },
    ],
    circuit: {
      ...{ origin: 'named', file: text, notes: text, no_pages: text },
      boxes: [
        box('token', [
          member({ kind: 'token', layer: null, feature: null, activation: null, label: null, examples: [] }),
        ]),
        box('feature', [member({}), member({ feature: null, label: null, examples: [] })]),
        box('target', [member({ kind: 'target', influence: null })]),
      ],
      links: [
        { source: 0, target: 1, weight: 8.898, share: 0.6338 },
        { source: 1, target: 2, weight: -2.66, share: -0.0798 },
      ],
      lost_ids: [text],
      left_out: { n_boxes: 2, n_features: 5 },
    },
    effects: {
      targets: [0, 1],
      not_predicted: null,
      measured: {
        ...{
          state: 'measured',
          model: text,
          transcoders: text,
          backend: 'cpu',
          device: 'cpu',
          dtype: 'float32',
        },
        says: { token: text, probability: 0.99 },
        probabilities: [0.99, null],
      },
      rows: [
        {
          box: 1,
          n_features: 2,
          changes: [
            { predicted: -11.88, measured: -9.5, probability: 0.01 },
            { predicted: -1.5, measured: null, probability: null },
          ],
          says: { token: text, probability: 0.6 },
        },
      ],
      rank_correlation: 0.9,
    },
    scores: {
      whole: { n_features: 229, scores },
      pruned: { n_features: 16, scores },
      circuit: { n_features: 2, scores },
      greedy: { n_features: 2, scores },
    },
    provenance: {
      file,
      annotations: file,
      graph: {
        ...{
          tracer_version: text,
          model: source,
          transcoders: source,
          backend: text,
          device: text,
          dtype: text,
        },
        options: { target_strings: [text], max_feature_nodes: 7500 },
        created: text,
      },
      scan: text,
      ...{ node_threshold: 0.8, edge_threshold: 0.98, tracer_version: '0.2.0', command: text },
    },
    ...changes,
  };
}

/** Ends cells, elements, code and lines of every format. */
export const NASTY =
  '</td></table></pre><script>alert(1)</script><img src=x onerror=alert(1)> | `a` ``b`` **c** _d_ [e](javascript:f) ![g](h) ~~i~~ $j$ &lt; \\| \\ # http://k.example www.l.example \u202e\u0000\ud800\n\n# m\n| n |\r\n```\n';
