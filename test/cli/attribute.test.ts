import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readGraph } from '../../src/graph/files.ts';
import type { ViewerGraph } from '../../src/graph/neuronpedia.ts';
import { goldenIds, readExpected, readGolden, toleranceOf, type GoldenGraph } from '../graph/golden.ts';
import { hasCollision, uniqueIds, type ReferenceFile } from '../graph/reference-file.ts';
import { TEST_DEVICES } from '../support/backends.ts';
import {
  CLI_FIXTURES,
  goldenPath,
  IS_FULL,
  LAYOUT_FIXTURES,
  prompts,
  setsOf,
  type Fixture,
  type PromptName,
} from '../support/golden.ts';
import { expectValues } from '../support/tensors.ts';
import { tracer } from './shared.ts';
import { envelope } from './start.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-attribute-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

const device = TEST_DEVICES[0]!;

function subject(fixture: Fixture, set: string, on: string = device): string[] {
  const model = goldenPath(fixture, 'model');
  return ['--model', model, '--transcoders', goldenPath(fixture, 'transcoders', set), '--device', on];
}

interface GoldenTargets {
  readonly kind: 'strings' | 'token_ids' | 'custom';
  readonly value: readonly unknown[];
}

/** The options of a golden graph as somebody would type them. */
function flagsOf({ fixture, id, entry }: GoldenGraph): string[] {
  const { options } = entry;
  const flags = [
    ...['--max-n-logits', String(options['max_n_logits'])],
    ...['--desired-logit-prob', String(options['desired_logit_prob'])],
    ...['--batch-size', String(options['batch_size'])],
    ...['--update-interval', String(options['update_interval'])],
    ...['--max-feature-nodes', String(options['max_feature_nodes'] ?? 0)],
  ];
  const targets = (entry as unknown as { attribution_targets: GoldenTargets | null }).attribution_targets;
  switch (targets?.kind) {
    case undefined:
      return flags;
    case 'strings':
      return [...flags, '--target-strings', ...(targets.value as string[])];
    case 'token_ids':
      return [...flags, '--target-tokens', targets.value.join()];
    case 'custom': {
      const file = path.join(folder, `${path.basename(fixture)}-${id}-targets.json`);
      writeFileSync(file, JSON.stringify(targets.value));
      return [...flags, '--targets', file];
    }
  }
}

const withoutInfluence = ({ influence: _, ...node }: { influence: number | null }) => node;

function expectViewerFile(actual: ViewerGraph, file: string, fixture: Fixture): void {
  const expected = uniqueIds(readExpected(fixture, file) as ReferenceFile);
  const { adjacency, probabilities_influence_scores } = toleranceOf(fixture);
  const ends = (links: ReferenceFile['links']) => links.map(({ source, target }) => `${source} ${target}`);
  const weights = (links: ReferenceFile['links']) => links.map(({ weight }) => weight);
  expect(ends(actual.links as ReferenceFile['links'])).toEqual(ends(expected.links));
  expectValues(
    `${file} weights`,
    weights(actual.links as ReferenceFile['links']),
    weights(expected.links),
    adjacency,
  );
  const plain = (nodes: readonly { influence: number | null }[]) =>
    nodes.map((node) => {
      const { activation: _, token_prob: __, ...same } = withoutInfluence(node) as Record<string, unknown>;
      return same;
    });
  expect(plain(actual.nodes)).toEqual(plain(expected.nodes));
  const influences = (nodes: readonly { influence: number | null }[]) =>
    nodes.map((node) => node.influence ?? -1);
  expectValues(
    `${file} influence`,
    influences(actual.nodes),
    influences(expected.nodes),
    probabilities_influence_scores,
  );
  const { scan: _, ...metadata } = expected.metadata;
  expect(actual.metadata).toMatchObject(metadata);
}

/** Traces a golden graph with the command, once for each pair of thresholds, and compares all that it wrote. */
async function expectGolden(fixture: Fixture, id: string, on: string): Promise<void> {
  const golden = await readGolden(fixture, id);
  const { entry, graph } = golden;
  const tolerance = toleranceOf(fixture);
  const text = prompts(fixture)[entry.prompt as PromptName].text;
  // Pruning itself is compared in the graph room; here one set shows that both thresholds arrive.
  const viewers = entry.set === 'plt-jumprelu' ? entry.graph_files : entry.graph_files.slice(0, 1);
  for (const [i, viewer] of viewers.entries()) {
    const output = path.join(folder, `${on}-${path.basename(fixture)}-${id}-${i}.safetensors`);
    const graphDir = path.join(folder, `${on}-${path.basename(fixture)}`);
    const finished = await tracer([
      ...['attribute', text, ...subject(fixture, entry.set, on), ...flagsOf(golden)],
      ...['--output', output, '--graph-dir', graphDir, '--slug', viewer.slug],
      ...[
        '--node-threshold',
        String(viewer.node_threshold),
        '--edge-threshold',
        String(viewer.edge_threshold),
      ],
      ...['--json', '--quiet'],
    ]);
    expect({ exitCode: finished.exitCode, stderr: finished.stderr }).toEqual({ exitCode: 0, stderr: '' });
    const data = envelope(finished).data as {
      n_nodes: number;
      scores: { replacement: number; completeness: number };
      logit_targets: { token_id: number }[];
    };
    expect(data.n_nodes).toBe(entry.n_nodes);
    expect(data.logit_targets.map(({ token_id }) => token_id)).toEqual([...graph.logit_token_ids]);
    expectValues(
      'scores',
      [data.scores.replacement, data.scores.completeness],
      [entry.replacement_score, entry.completeness_score],
      tolerance.probabilities_influence_scores,
    );
    const written = await readGraph(output);
    expect([...written.active_features]).toEqual([...graph.active_features]);
    expect([...written.selected_features]).toEqual([...graph.selected_features]);
    expect([...written.input_tokens]).toEqual([...graph.input_tokens]);
    expectValues('edges', written.edges, graph.edges, tolerance.adjacency);
    expectValues(
      'node_influence',
      written.node_influence,
      graph.node_influence,
      tolerance.probabilities_influence_scores,
    );
    // Two nodes of one id in the reference's file: its links cannot be told apart.
    if (hasCollision(readExpected(fixture, viewer.file) as ReferenceFile)) continue;
    const view = JSON.parse(readFileSync(path.join(graphDir, `${viewer.slug}.json`), 'utf8')) as ViewerGraph;
    expectViewerFile(view, viewer.file, fixture);
  }
}

describe('tracer attribute writes the graphs of the reference', () => {
  const ofSets = goldenIds(CLI_FIXTURES(device)).filter(({ fixture, id }) =>
    setsOf(fixture).some((set) => id.startsWith(`graph-${set}-p`)),
  );
  const graphs = [...ofSets, ...(IS_FULL ? goldenIds(LAYOUT_FIXTURES) : [])];
  it.concurrent.each(graphs)('$fixture $id', ({ fixture, id }) => expectGolden(fixture, id, device));

  it.concurrent.each([
    ['tiny-a', 'graph-plt-relu-skip-p2'],
    ['tiny-b', 'graph-clt-p2'],
    ['tiny-b', 'graph-plt-jumprelu-p2-top45-bs3-ui3'],
  ] as const)('on wasm: %s %s', (fixture, id) => expectGolden(fixture, id, 'wasm'));
});

describe('tracer attribute refuses with exit code 2, before anything is loaded', () => {
  const PROMPT = ['Hello'];
  it.concurrent.each<[string, string[], string]>([
    [
      'two kinds of targets',
      [...PROMPT, '--target-tokens', '3', '--target-strings', ' a'],
      'several_targets',
    ],
    [
      'targets and a difference',
      [...PROMPT, '--target-difference', ' a', ' b', '--target-tokens', '3'],
      'several_targets',
    ],
    ['one token as a difference', [...PROMPT, '--target-difference', ' a'], 'bad_value'],
    ['a folder without a slug', [...PROMPT, '--graph-dir', 'graphs'], 'slug_and_folder'],
    ['a slug without a folder', [...PROMPT, '--slug', 'a'], 'slug_and_folder'],
    ['a slug that names no file', [...PROMPT, '--graph-dir', 'graphs', '--slug', '..'], 'bad_slug'],
    ['a folder as output', [...PROMPT, '--output', '.'], 'is_a_folder'],
    [
      'a prompt and a list of prompts',
      [...PROMPT, '--prompts', 'list.jsonl', '--output', 'x'],
      'prompts_and_prompt',
    ],
    [
      'a list of prompts and a slug',
      ['--prompts', 'l.jsonl', '--graph-dir', 'x', '--slug', 'a'],
      'prompts_and_prompt',
    ],
    ['a list of prompts that go nowhere', ['--prompts', 'list.jsonl'], 'nowhere_to_write'],
    [
      'a list of prompts into one file',
      ['--prompts', 'l.jsonl', '--output', 'a.safetensors'],
      'output_is_a_file',
    ],
    ['to resume without a file', [...PROMPT, '--resume'], 'nowhere_to_resume'],
    ['a prompt and tokens', [...PROMPT, '--tokens', '2'], 'several_prompts'],
    ['an unknown selection', [...PROMPT, '--selection', 'best'], 'invalid_argument'],
    ['a share above one', [...PROMPT, '--node-threshold', '1.1'], 'bad_value'],
    ['no edge to verify', [...PROMPT, '--verify', '0'], 'bad_value'],
    ['an empty batch', [...PROMPT, '--batch-size', '0'], 'bad_value'],
    ['no logit', [...PROMPT, '--max-n-logits', '0'], 'bad_value'],
  ])('%s', async (_, args, code) => {
    const finished = await tracer(['attribute', ...args, '--json']);
    expect({ exitCode: finished.exitCode, code: envelope(finished).error?.code }).toEqual({
      exitCode: 2,
      code,
    });
  });

  it.concurrent.each<[string, string[], string]>([
    ['a target id outside the vocabulary', ['--target-tokens', '560'], '0 to 559'],
    ['a target of several tokens', ['--target-strings', ' Dallas Texas'], 'token'],
    ['a target named twice', ['--target-tokens', '5,5'], 'twice'],
    ['a position outside the prompt', ['--target-position', '99'], '99'],
    ['a position before the prompt', ['--target-position', '-99'], '-99'],
    ['a token outside the vocabulary', ['--tokens', '2,560'], '560'],
  ])('%s', async (_, args, text) => {
    const prompt = args[0] === '--tokens' ? [] : ['Hello'];
    const finished = await tracer([
      'attribute',
      ...prompt,
      ...args,
      ...subject('tiny-a', 'clt'),
      '--verbose',
    ]);
    expect(finished.exitCode).toBe(2);
    expect(finished.stderr).toContain(text);
    expect(finished.stderr).not.toContain('Reading the model');
  });

  it('a direction of another width', async () => {
    const file = path.join(folder, 'short.json');
    writeFileSync(file, JSON.stringify([{ token_str: 'x', prob: 1, vec: [1, 2] }]));
    const finished = await tracer(['attribute', 'Hello', '--targets', file, ...subject('tiny-a', 'clt')]);
    expect(finished.exitCode).toBe(2);
    expect(finished.stderr).toContain('expected 32');
  });
});

describe('tracer attribute --verify', () => {
  it('says what it found', async () => {
    const finished = await tracer([
      'attribute',
      'Hello',
      ...subject('tiny-a', 'clt'),
      '--verify',
      '5',
      '--json',
    ]);
    expect(finished.exitCode).toBe(0);
    expect(envelope(finished).data).toMatchObject({
      verification: { ok: true, n_edges: 5, tolerance: 1e-4 },
    });
  });
});

describe('an output that cannot be written', () => {
  it('is refused before anything is loaded', async () => {
    const file = path.join(folder, 'a-file');
    writeFileSync(file, '');
    const args = ['attribute', 'Hello', '--output', path.join(file, 'graph.safetensors')];
    const finished = await tracer([...args, ...subject('tiny-a', 'clt'), '--json']);
    expect(finished.exitCode).toBe(5);
    expect(finished.stderr).not.toContain('Reading the model');
    expect(existsSync(path.join(file, 'graph.safetensors'))).toBe(false);
  });
});
