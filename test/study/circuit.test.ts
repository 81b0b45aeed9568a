import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { circuit } from '../../src/engine/study/circuit.ts';
import { collect } from '../../src/engine/study/collect.ts';
import { attentionSummary } from '../../src/engine/attention/heads.ts';
import { topOfFile } from '../../src/engine/graph/graph.ts';
import { readConsensus, usedTest } from '../../src/engine/study/consensus.ts';
import { validateCircuit } from '../../src/engine/validate/circuit.ts';
import { unusedGraphs } from '../../src/engine/validate/held-out.ts';
import { predictAblation } from '../../src/engine/validate/prediction.ts';
import { validate } from '../../src/engine/validate/validate.ts';
import { readGraph, writeGraph } from '../../src/graph/files.ts';
import { edgeWeight, featureOf, type Graph } from '../../src/graph/graph.ts';
import { NodeLayout } from '../../src/graph/node-layout.ts';
import { nodeId } from '../../src/graph/nodes.ts';
import { subgraphScores } from '../../src/graph/scores.ts';
import { Random } from '../../src/random.ts';
import { predictedChange } from '../../src/study/ablation.ts';
import { featureKey, readKeyed } from '../../src/study/aligned.ts';
import { bootstrap } from '../../src/study/bootstrap.ts';
import { carriedShare } from '../../src/study/holdout.ts';
import { openStudy } from '../../src/study/open.ts';
import { parseXml } from '../picture/xml.ts';
import {
  failure,
  madeFolder,
  madeGraph,
  VOCABULARY_SIZE,
  type MadeFeature,
  type MadePrompt,
} from './made-graphs.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-circuit-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));
const study = path.join(folder, 'study');
const file = path.join(folder, 'circuit.safetensors');

/** In all graphs, at places counted from the end; prompts have 4 to 6 tokens. */
const SHARED: readonly MadeFeature[] = [
  [0, -2, 5],
  [1, -1, 6],
  [2, -1, 7],
];
const N_GRAPHS = 40;

/** Features of a pool, of which each prompt has few. */
function prompts(): MadePrompt[] {
  const random = new Random(8);
  return Array.from({ length: N_GRAPHS }, (_, i): MadePrompt => {
    const own = Array.from({ length: 3 }, (): MadeFeature => [
      random.below(3),
      -1 - random.below(2),
      100 + random.below(60),
    ]);
    const unique = [...new Map(own.map((one) => [one.join(), one])).values()];
    return {
      ...{ slug: `p${i}`, line: i + 1, answer: ` a${i % 5}` },
      tokens: ['<bos>', ...Array.from({ length: 1 + (i % 3) }, (_, k) => ` filler${k}`), ` place${i}`, ' is'],
      features: [...SHARED, ...unique],
      metadata: { group: i % 4 === 3 ? 'other' : 'main' },
      strength: ([, , feature]) => (feature < 100 ? 3 : 1),
    };
  });
}

beforeAll(async () => {
  await madeFolder(path.join(folder, 'graphs'), prompts());
  await collect({
    folders: [path.join(folder, 'graphs')],
    output: study,
    nodeThreshold: 1,
    edgeThreshold: 1,
  });
});

describe('circuit', () => {
  it('has what recurs, at its place from the end, in a graph file that other commands read', async () => {
    const svg = path.join(folder, 'circuit.svg');
    const result = await circuit({ study, group: 'main', output: file, svg });
    expect([result.by, result.group, result.n_graphs, result.n_features]).toEqual(['group', 'main', 30, 3]);
    const graph = await readGraph(file);
    const features = Array.from({ length: graph.layout.n_features }, (_, i) => featureOf(graph, i));
    expect(
      features.map(({ layer, position, feature }) => [layer, position - graph.layout.n_pos, feature]),
    ).toEqual(SHARED);
    const { token_strings, logit_labels, scores } = graph.provenance;
    expect(token_strings.slice(-3)).toEqual([expect.anything(), '(varies)', ' is']);
    expect([logit_labels, graph.logit_token_ids[0]]).toEqual([['(varies)'], VOCABULARY_SIZE]);
    expect(scores).toEqual(result.scores);
    const { top } = await topOfFile(file, 9);
    expect(top.map(({ feature }) => feature).sort()).toEqual([5, 6, 7]);
    expect(parseXml(readFileSync(svg, 'utf8')).name).toBe('svg');
  });

  it('is refused where a model would have to run its prompt, before one is loaded', async () => {
    const refused = [2, 'graph_of_many_prompts'];
    expect(await failure(validate({ file }))).toEqual(refused);
    expect(await failure(attentionSummary({ graph: file }))).toEqual(refused);
  });

  it('has the mean weights of the graphs', async () => {
    const graph = await readGraph(file);
    const whole = prompts()
      .filter(({ metadata }) => metadata!['group'] === 'main')
      .map((prompt) => madeGraph(prompt, prompt.line));
    const weightIn = (one: (typeof whole)[number], source: number, target: number): number => {
      const find = (feature: number): number =>
        Array.from({ length: one.layout.n_features }, (_, i) => i).find(
          (i) => featureOf(one, i).feature === feature,
        )!;
      const to = target < 0 ? one.layout.logits.start : find(target);
      return edgeWeight(one, to, find(source));
    };
    for (const [source, target] of [
      [5, 6],
      [6, 7],
      [7, -1],
    ] as const) {
      const mean = whole.reduce((sum, one) => sum + weightIn(one, source, target), 0) / whole.length;
      expect(weightIn(graph, source, target)).toBeCloseTo(mean, 5);
    }
  });

  it('keeps more for a smaller share, and says so when nothing is left', async () => {
    const few = await circuit({ study, share: 1 });
    const many = await circuit({ study, share: 0.05 });
    expect(few.n_features).toBe(SHARED.length);
    expect(many.n_features).toBeGreaterThan(few.n_features);
    // From the start, the same features are at three places, each in a third of the graphs.
    const started = await circuit({ study, align: 'start', share: 0.3 });
    expect(started.features.every(({ place }) => place >= 0)).toBe(true);
    expect(await failure(circuit({ study, align: 'start', share: 0.5 }))).toEqual([2, 'nothing_recurs']);
    expect(await failure(circuit({ study, where: 'line = 1' }))).toEqual([2, 'too_few_graphs']);
    expect(await failure(circuit({ study, group: 'mian' }))).toEqual([2, 'unknown_group']);
    expect(await failure(circuit({ study, holdout: 0.01 }))).toEqual([2, 'too_few_graphs']);
    expect(await failure(circuit({ study, holdout: 1 }))).toEqual([2, 'too_few_graphs']);
  });

  it('asks for the group where only its column is given', async () => {
    await expect(circuit({ study, by: 'group' })).rejects.toMatchObject({
      exitCode: 2,
      code: 'group_missing',
      hint: expect.stringContaining('main, other') as unknown,
    });
    expect(await failure(circuit({ study, by: 'gruop' }))).toEqual([2, 'unknown_column']);
  });

  it('says which graphs it was found in, and the others are those that were held out', async () => {
    await circuit({ study, group: 'main', holdout: 0.4, seed: 5, output: file });
    const consensus = readConsensus(file, await readGraph(file));
    const main = prompts().filter(({ metadata }) => metadata!['group'] === 'main');
    expect(consensus).toMatchObject({ align: 'end', by: 'group', group: 'main', where: null });
    expect(consensus.features.map(({ layer, place, feature }) => [layer, place, feature])).toEqual(SHARED);
    const isUsed = usedTest(consensus);
    const used = main.filter(({ slug }) => isUsed({ slug, prompt: '' }));
    expect([used.length, main.length]).toEqual([18, 30]);
    // The same text under another name was used as well.
    for (const { slug, tokens } of main) {
      const prompt = tokens.slice(1).join('');
      expect(isUsed({ slug: 'other', prompt })).toBe(isUsed({ slug, prompt: '' }));
    }
    using opened = await openStudy(study);
    const left = await unusedGraphs(opened, await readGraph(file), consensus, undefined);
    expect(left.map(({ slug }) => slug)).toEqual(
      main.filter((one) => !used.includes(one)).map(({ slug }) => slug),
    );
  });

  it('of all graphs of a group leaves none to be tried on', async () => {
    await circuit({ study, group: 'main', output: file });
    expect(await failure(validateCircuit({ file, study }))).toEqual([2, 'too_few_prompts']);
    expect(await failure(validateCircuit({ file }))).toEqual([2, 'missing_prompts']);
    expect(await failure(validateCircuit({ file: study, study }))).toEqual([2, 'study_for_graph']);
    expect(await failure(validate({ file: study }))).toEqual([2, 'study_for_graph']);
    const one = path.join(folder, 'graphs', 'p0.safetensors');
    expect(await failure(validateCircuit({ file: one, study }))).toEqual([2, 'no_circuit']);
    const graph = await readGraph(file);
    const options = { ...graph.provenance.options, consensus: { share: 0.5 } };
    await writeGraph(file, { ...graph, provenance: { ...graph.provenance, options } });
    expect(await failure(validateCircuit({ file, study }))).toEqual([4, 'circuit_without_graphs']);
  });

  it('keeps a token or an answer that is the same in all graphs, and is the graph itself of two equal ones', async () => {
    const one = prompts()[0]!;
    const twice = [one, { ...one, slug: 'again', line: 2 }];
    await madeFolder(path.join(folder, 'twice'), twice, {
      alter: () => madeGraph(one, 1),
    });
    const equal = path.join(folder, 'equal');
    await collect({
      folders: [path.join(folder, 'twice')],
      output: equal,
      nodeThreshold: 1,
      edgeThreshold: 1,
    });
    await circuit({ study: equal, share: 1, output: file });
    const [found, expected] = [await readGraph(file), madeGraph(one, 1)];
    for (const name of [
      'edges',
      'active_features',
      'activation_values',
      'input_tokens',
      'logit_token_ids',
    ] as const) {
      expect(Array.from(found[name])).toEqual(Array.from(expected[name]));
    }
    expect(found.provenance.token_strings).toEqual(one.tokens);
    expect(nodeId(found, found.layout.logits.start)).toBe(nodeId(expected, expected.layout.logits.start));
    found.node_influence.forEach((influence, node) =>
      expect(influence).toBeCloseTo(expected.node_influence[node]!, 5),
    );
  });
});

describe('validation on held-out graphs', () => {
  it('finds that the shared features carry the influence, and that others do not', async () => {
    const { holdout, n_graphs, features } = await circuit({ study, holdout: 0.5, seed: 3 });
    expect([n_graphs, holdout!.n_found_on, holdout!.n_held_out]).toEqual([20, 20, 20]);
    expect(features).toHaveLength(SHARED.length);
    const { recovered, recovered_found_on, recovered_random, carried } = holdout!;
    expect(recovered!.value).toBeGreaterThan(0.6);
    expect(recovered!.interval[0]).toBeLessThan(recovered!.value);
    expect(recovered!.interval[1]).toBeGreaterThan(recovered!.value);
    expect(recovered!.interval[0]).toBeGreaterThan(recovered_random!);
    expect(Math.abs(recovered_found_on! - recovered!.value)).toBeLessThan(0.1);
    expect(carried.none).toBeLessThan(carried.circuit);
    expect(carried.circuit).toBeLessThan(carried.all);
    expect((carried.circuit - carried.none) / (carried.all - carried.none)).toBeCloseTo(recovered!.value, 10);
    // The same seed divides alike, another one does not.
    expect((await circuit({ study, holdout: 0.5, seed: 3 })).holdout).toEqual(holdout);
    expect((await circuit({ study, holdout: 0.5, seed: 4 })).holdout).not.toEqual(holdout);
  });

  it('has the score that pinned nodes have', async () => {
    using opened = await openStudy(study);
    const [keyed] = await readKeyed(opened, [0], 'end');
    const graph = madeGraph(prompts()[0]!, 1);
    const count = graph.layout.n_features;
    for (const pinned of [[], [0], [1, 2], Array.from({ length: count }, (_, i) => i)]) {
      const keys = new Set(
        pinned.map((node) => {
          const { layer, position, feature } = featureOf(graph, node);
          return `feature:${layer}:${position - graph.layout.n_pos}:${feature}`;
        }),
      );
      expect(carriedShare(keyed!, (key) => keys.has(key))).toBeCloseTo(
        subgraphScores(graph, pinned).replacement,
        5,
      );
    }
  });
});

/** The same graph with a second answer, whose links have twice the weight. */
function withSecondAnswer(graph: Graph): Graph {
  const { n_features, n_layers, n_pos, n_nodes, n_rows } = graph.layout;
  const layout = new NodeLayout({ n_features, n_layers, n_pos, n_logits: 2 });
  const edges = new Float32Array(layout.n_rows * layout.n_nodes);
  for (let row = 0; row < n_rows; row++) {
    const values = graph.edges.subarray(row * n_nodes, (row + 1) * n_nodes);
    edges.set(values, row * layout.n_nodes);
    if (row === n_features)
      edges.set(
        values.map((value) => 2 * value),
        (row + 1) * layout.n_nodes,
      );
  }
  return {
    ...graph,
    ...{
      layout,
      edges,
      logit_token_ids: Int32Array.of(1, 2),
      logit_probabilities: Float32Array.of(0.5, 0.25),
    },
    node_influence: new Float32Array(layout.n_nodes).fill(0.1),
    provenance: { ...graph.provenance, logit_labels: [' first', ' second'] },
  };
}

describe('several answers of one graph', () => {
  it('are one node, with weights by their probability', async () => {
    const one = prompts()[0]!;
    const two = [one, { ...one, slug: 'again', line: 2 }];
    await madeFolder(path.join(folder, 'answers'), two, { alter: () => withSecondAnswer(madeGraph(one, 1)) });
    const answers = path.join(folder, 'answers-study');
    await collect({
      folders: [path.join(folder, 'answers')],
      output: answers,
      nodeThreshold: 1,
      edgeThreshold: 1,
    });
    await circuit({ study: answers, share: 1, output: file });
    const [found, single] = [await readGraph(file), madeGraph(one, 1)];
    expect(found.logit_probabilities).toEqual(Float32Array.of(0.75));
    expect([found.logit_token_ids[0], found.provenance.logit_labels]).toEqual([1, [' first']]);
    for (let source = 0; source < single.layout.logits.start; source++) {
      const own = edgeWeight(single, single.layout.logits.start, source);
      expect(edgeWeight(found, found.layout.logits.start, source)).toBeCloseTo((2 * own + 2 * own) / 3, 5);
    }
  });
});

describe('the change that a graph predicts', () => {
  it('is that of a single feature where one is switched off', async () => {
    using opened = await openStudy(study);
    const keyed = await readKeyed(opened, [0, 5], 'end');
    for (const [i, number] of [0, 5].entries()) {
      const prompt = prompts()[number]!;
      const graph = madeGraph(prompt, prompt.line);
      for (let node = 0; node < graph.layout.n_features; node++) {
        const { layer, position, feature } = featureOf(graph, node);
        const key = featureKey({ layer, place: position - graph.layout.n_pos, feature });
        const { total } = predictAblation(graph, node, graph.layout.logits.start);
        expect(predictedChange(keyed[i]!, (one) => one === key)).toBeCloseTo(total, 4);
      }
      // Without any feature all that they write to the answer is gone.
      const row = graph.edges.subarray(graph.layout.n_features * graph.layout.n_nodes);
      const written = row.subarray(0, graph.layout.n_features).reduce((sum, weight) => sum + weight, 0);
      expect(predictedChange(keyed[i]!, () => true)).toBeCloseTo(-written, 4);
      expect(predictedChange(keyed[i]!, () => false)).toBe(0);
    }
  });
});

describe('bootstrap', () => {
  it('has an interval that holds the true mean in about 95 of 100 samples', () => {
    const random = new Random(2);
    let held = 0;
    let width = 0;
    const n_samples = 60;
    for (let sample = 0; sample < n_samples; sample++) {
      const values = Array.from({ length: 40 }, () => random.normal());
      const mean = (indices: readonly number[]): number => {
        let sum = 0;
        for (const index of indices) sum += values[index]!;
        return sum / indices.length;
      };
      const { interval } = bootstrap(values.length, mean, sample)!;
      if (interval[0] <= 0 && interval[1] >= 0) held += 1;
      width += (interval[1] - interval[0]) / n_samples;
    }
    // Binomial with 60 and 0.94 (percentiles of 40 values are slightly narrow): below 49 in one of a thousand.
    expect(held).toBeGreaterThanOrEqual(49);
    expect(Math.abs(width - (2 * 1.96) / Math.sqrt(40))).toBeLessThan(0.05);
    expect(bootstrap(3, () => NaN, 1)).toBeNull();
  });
});
