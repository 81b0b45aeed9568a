/**
 * Benchmark: attention explained, in one process with the library: all links of a graph's pruned part through heads, beside the
 * graph itself; pairs of one head at the top layer and in the middle, and of ten heads, beside the products that a walk back for one head
 * needs.
 */
import { attributeIn, attentionSummaryIn, openSession } from '../dist/index.js';
import { scoreParts } from '../dist/attention/score-parts.js';
import { queryScores, strongestKey } from '../dist/attention/scores.js';
import { TracedPrompt } from '../dist/attention/traced-prompt.js';
import { WALK_ROWS } from './bounds.mjs';
import { promptTokens } from './measure.mjs';
import { SHAPE } from './shapes.mjs';
import { spread } from './tracer-process.mjs';

const { d_model, n_heads, n_kv_heads, d_head } = SHAPE;
/** A product of one row with a matrix takes a multiplication and an addition a number. */
const FLOP = 2;
const N_PAIRS = 20;
const N_HEADS = 10;
const disposal = Symbol.dispose;

/** Queries and keys of one head by a walk back: rows through attention of the layers below, and their products with all sources. */
export function headOperations(layer, tokens, n_sources) {
  const attention = FLOP * d_model * d_head * (n_heads + n_kv_heads);
  return 2 * d_head * (layer * tokens * attention + FLOP * n_sources * d_model);
}

export async function measureAttention(
  machine,
  { checkpoint, tokens, nodes, batchSize, layers, graph, runs },
) {
  const session = await openSession(
    {
      model: `${checkpoint}/model`,
      transcoders: `${checkpoint}/transcoders`,
      device: 'cpu',
    },
    { preloadEncoders: true },
  );
  const input = { tokens: promptTokens(tokens).split(',').map(Number) };
  const headLayers = [Math.floor(layers / 2), layers - 1];
  try {
    const [graphs, links] = [[], []];
    const heads = headLayers.map((layer) => ({ layer, ones: [], tens: [] }));
    let counts = {};
    for (let run = 0; run <= runs; run++) {
      const made = await timed(() =>
        attributeIn(session, { input, output: graph, maxFeatureNodes: nodes, batchSize: Number(batchSize) }),
      );
      const summary = await timed(() => attentionSummaryIn(session, { graph }));
      counts = { links: summary.result.n_links };
      if (run > 0) {
        graphs.push(made.seconds);
        links.push(summary.seconds);
      } // the first one folds weights and reads files
      for (const { layer, ones, tens } of heads) {
        const { one, ten, n_sources } = await measureHeads(session, input.tokens, layer);
        counts = { ...counts, n_sources };
        if (run === 0) continue;
        ones.push(one);
        tens.push(ten);
      }
    }
    return {
      tokens,
      nodes,
      ...counts,
      graphSeconds: spread(graphs),
      linksSeconds: spread(links),
      heads: heads.map(({ layer, ones, tens }) => ({
        layer,
        bound: headOperations(layer, tokens, counts.n_sources) / machine.products[WALK_ROWS],
        oneSeconds: spread(ones),
        tenSeconds: spread(tens),
      })),
    };
  } finally {
    session[disposal]();
  }
}

/** Pairs of a head of a layer, and of ten: all heads at the last position, the others at the one before it. */
async function measureHeads(session, tokens, layer) {
  const prompt = await TracedPrompt.of(session.replacement, tokens, { scoresOf: [layer] });
  try {
    const request = async (i) => {
      const query = tokens.length - 1 - Math.floor(i / n_heads);
      const of = await queryScores(prompt, layer, i % n_heads, query);
      return { of, key: strongestKey(of), against: null };
    };
    const requests = await Promise.all(Array.from({ length: N_HEADS }, (_, i) => request(i)));
    const explain = async (some) => {
      for (const parts of await scoreParts(prompt, layer, some)) {
        parts.check();
        await parts.pairs(N_PAIRS);
      }
    };
    await explain(requests.slice(0, 1)); // vectors of sources are made once for a prompt
    const one = await timed(() => explain(requests.slice(0, 1)));
    const ten = await timed(() => explain(requests));
    return { one: one.seconds, ten: ten.seconds, n_sources: prompt.list.n_sources };
  } finally {
    prompt[disposal]();
  }
}

async function timed(work) {
  const startMs = performance.now();
  const result = await work();
  return { result, seconds: (performance.now() - startMs) / 1000 };
}
