/** Tests of the page: a made-up graph of any size, in the form of a viewer file. The same every time. */

const LAYERS = 26;
const FEATURES = 16_384;
const LOGITS = 10;
/** Numbers of a linear congruential generator (Numerical Recipes). */
const GENERATOR = { factor: 1_664_525, step: 1_013_904_223, range: 2 ** 32, seed: 7 } as const;

interface MadeNode {
  readonly node_id: string;
  readonly row: number;
  readonly position: number;
}

export function largeGraph(slug: string, nodeCount: number, linkCount: number, tokenCount: number): string {
  const random = generator();
  const below = (n: number) => Math.floor(random() * n);
  const tokens = Array.from({ length: tokenCount }, (_, i) => (i === 0 ? '<bos>' : ` word${i}`));
  const nodes = new Map<string, MadeNode & Record<string, unknown>>();
  const add = (node_id: string, row: number, position: number, fields: Record<string, unknown>) =>
    nodes.set(node_id, { node_id, row, position, ...commonFields(position), ...fields });

  tokens.forEach((_token, at) =>
    add(`E_${at}_${at}`, -1, at, {
      layer: 'E',
      feature: at,
      feature_type: 'embedding',
      influence: random() * 0.8,
    }),
  );
  while (nodes.size < nodeCount - LOGITS) {
    const [layer, feature, at] = [below(LAYERS), below(FEATURES), 1 + below(tokenCount - 1)];
    add(`${layer}_${feature}_${at}`, layer, at, {
      layer: String(layer),
      feature,
      feature_type: 'cross layer transcoder',
      influence: random() * 0.8,
      activation: random() * 30,
    });
  }
  for (let i = 0; i < LOGITS; i++) {
    const probability = 0.5 / (i + 1);
    add(`${LAYERS + 1}_${i}_${tokenCount - 1}`, LAYERS, tokenCount - 1, {
      layer: String(LAYERS + 1),
      feature: i,
      feature_type: 'logit',
      token_prob: probability,
      is_target_logit: i === 0,
      clerp: `Output " next${i}" (p=${probability.toFixed(3)})`,
    });
  }

  const all = [...nodes.values()];
  const links = new Map<string, { source: string; target: string; weight: number }>();
  while (links.size < linkCount) {
    const [source, target] = [all[below(all.length)]!, all[below(all.length)]!];
    if (source.row >= target.row || source.position > target.position) continue;
    const weight = (random() - 0.4) * Math.exp(random() * 3);
    links.set(`${source.node_id}>${target.node_id}`, {
      source: source.node_id,
      target: target.node_id,
      weight,
    });
  }
  const metadata = {
    slug,
    scan: 'made-up',
    transcoder_list: [],
    prompt_tokens: tokens,
    prompt: tokens.join(''),
    node_threshold: 0.8,
    schema_version: 1,
  };
  const qParams = { pinnedIds: [], supernodes: [], linkType: 'both', clickedId: '', sg_pos: '' };
  return JSON.stringify({ metadata, qParams, nodes: all, links: [...links.values()] });
}

function commonFields(position: number): Record<string, unknown> {
  return {
    ctx_idx: position,
    token_prob: 0,
    is_target_logit: false,
    run_idx: 0,
    reverse_ctx_idx: 0,
    clerp: '',
    influence: null,
    activation: null,
    jsNodeId: '',
  };
}

function generator(): () => number {
  let state: number = GENERATOR.seed;
  return () => {
    state = (state * GENERATOR.factor + GENERATOR.step) % GENERATOR.range;
    return state / GENERATOR.range;
  };
}
