/** `report`: pages of graphs of every kind, with and without a model at hand. */
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { copyFileSync, existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { importGraph } from '../../src/engine/graph/import.ts';
import { exportFile } from '../../src/engine/graph/export.ts';
import { pruneFile } from '../../src/engine/graph/graph.ts';
import { suggestForFile } from '../../src/engine/graph/suggest.ts';
import { traceGraph } from '../../src/engine/attribute/attribute.ts';
import { report } from '../../src/engine/report/report.ts';
import type { ReportRequest, ReportResult } from '../../src/engine/report/types.ts';
import { validateIn } from '../../src/engine/validate/validate.ts';
import { annotationsPath, emptyAnnotations } from '../../src/graph/annotations.ts';
import { readGraph, writeGraph } from '../../src/graph/files.ts';
import { graphScores } from '../../src/graph/scores.ts';
import type { Graph } from '../../src/graph/graph.ts';
import { GOLDEN } from '../formats/support.ts';
import { parseXml } from '../picture/xml.ts';
import { scratchFolder } from '../support/scratch.ts';
import { prompts } from '../support/golden.ts';
import { goldenSession, listener } from './golden-session.ts';

const scratch = scratchFolder();
afterAll(() => scratch[Symbol.dispose]());
const at = (...names: string[]): string => join(scratch.path, ...names);
const text = (file: string): string => readFileSync(file, 'utf8');
const FILE = at('golden.safetensors');
let graph: Graph;

beforeAll(async () => {
  using session = await goldenSession('tiny-a', 'plt-jumprelu');
  graph = await traceGraph(session, { prompt: prompts('tiny-a').p2.text }, {});
  await writeGraph(FILE, graph);
}, 120_000);

/** The page of a file in a folder of its own, so that no annotations are beside it. */
async function pageOf(
  source: string,
  request: Partial<ReportRequest> = {},
): Promise<ReportResult & { page: string }> {
  const result = await report({ device: 'wasm', ...request, file: source });
  return { ...result, page: text(result.files[0]!.path) };
}

describe('the page of a graph', () => {
  it('has the same bytes for the same graph', async () => {
    const first = await pageOf(FILE);
    const second = await pageOf(FILE, { output: at('other.html') });
    expect(second.page).toBe(first.page);
    const [page, figure] = (await report({ file: FILE, format: 'markdown', measure: false })).files;
    expect([page!.path, figure!.path]).toEqual([at('golden.report.md'), at('golden.report.svg')]);
    expect(text(page!.path)).toContain('](golden.report.svg)');
    expect(parseXml(text(figure!.path)).name).toBe('svg');
  });

  it('names the field of a circuit file that is wrong', async () => {
    const file = at('wrong.json');
    writeFileSync(file, JSON.stringify({ pinnedIds: [], supernodes: 'x' }));
    await expect(pageOf(FILE, { circuit: file, measure: false })).rejects.toThrow(
      `${file}: field supernodes`,
    );
    writeFileSync(file, JSON.stringify({ qParams: { pinnedIds: [7] } }));
    await expect(pageOf(FILE, { circuit: file, measure: false })).rejects.toThrow(
      `${file}: field qParams.pinnedIds[0]`,
    );
  });

  it('is titled by the prompt where the title is empty', async () => {
    const { title } = await pageOf(FILE, { title: ' ', measure: false });
    expect(title).toBe(prompts('tiny-a').p2.text);
  });

  it('measures what `graph validate` measures where a box is one feature, and predicts the same', async () => {
    const node = graph.node_influence
      .slice(0, graph.layout.n_features)
      .reduce((best, value, i, all) => (value > all[best]! ? i : best), 0);
    const circuit = at('one.json');
    const [layer, position, feature] = graph.active_features.slice(3 * graph.selected_features[node]!);
    const id = `${layer}_${feature}_${position}`;
    writeFileSync(circuit, JSON.stringify({ pinnedIds: [id], supernodes: [['one', id]] }));
    const { effects } = await pageOf(FILE, { circuit });
    using session = await goldenSession('tiny-a', 'plt-jumprelu');
    const target =
      graph.layout.logits.start + graph.logit_probabilities.indexOf(Math.max(...graph.logit_probabilities));
    const validated = await validateIn(session, graph, target, { file: FILE, top: graph.layout.n_features });
    const expected = validated.features.find(
      (one) => one.layer === layer && one.position === position && one.feature === feature,
    )!;
    const [row, ...others] = effects.rows;
    expect(others).toEqual([]);
    expect(row!.changes[0]!.predicted).toBeCloseTo(expected.predicted, 10);
    expect(row!.changes[0]!.measured).toBeCloseTo(expected.actual, 4);
    expect(effects.measured).toMatchObject({ state: 'measured', device: 'wasm' });
  });

  it('is complete when everything is in the circuit, and gives scores of whole, pruned and circuit', async () => {
    const { circuit, scores } = await pageOf(FILE, { measure: false });
    expect(scores.whole).toEqual({ n_features: graph.layout.n_features, scores: graphScores(graph) });
    expect(scores.circuit.n_features).toBe(
      circuit.boxes.reduce(
        (sum, { members }) => sum + members.filter(({ kind }) => kind === 'feature').length,
        0,
      ),
    );
    expect(scores.circuit.scores.completeness).toBeLessThanOrEqual(scores.pruned.scores.completeness + 1e-9);
    expect(scores.greedy!.n_features).toBe(scores.circuit.n_features);
  });

  it('names its targets by falling probability, and effects for the notable ones', async () => {
    const { targets, effects } = await pageOf(FILE, { measure: false });
    expect(targets).toHaveLength(graph.layout.n_logits);
    const probabilities = targets.map(({ probability }) => probability);
    expect(probabilities).toEqual([...probabilities].sort((a, b) => b - a));
    expect(effects.targets.length).toBeGreaterThan(0);
    expect(effects.rows.every(({ changes }) => changes.length === effects.targets.length)).toBe(true);
    expect(effects.rows.at(-1)!.box).toBeNull();
  });
});

describe('the model', () => {
  it('that is not at hand is said, with a warning, and nothing is fetched', async () => {
    const file = at('away.safetensors');
    const away = { name: 'nobody/nothing', revision: 'a'.repeat(40), config_sha256: null };
    await writeGraph(file, { ...graph, provenance: { ...graph.provenance, model: away, transcoders: away } });
    const { warnings, onProgress } = listener();
    const { effects, page } = await pageOf(file, { onProgress, cacheDir: at('empty-cache') });
    expect(effects.measured.state).toBe('not_measured');
    expect(effects.rows[0]!.changes[0]!.predicted).not.toBeNull();
    expect(page).toContain('Not measured:');
    expect(page).toContain('nobody/nothing');
    const why =
      'nobody/nothing is not on this machine, and nothing is fetched unless --model or --transcoders names it';
    expect(warnings).toContain(`effects are not measured: ${why}`);
    await expect(pageOf(file, { model: 'nobody/nothing', offline: true })).rejects.toThrow('nobody/nothing');
  });

  it('that is another one than the graph’s is said', async () => {
    const file = at('changed.safetensors');
    await writeGraph(file, {
      ...graph,
      activation_values: graph.activation_values.map((value) => value * 2),
    });
    const { effects } = await pageOf(file);
    expect(effects.measured).toMatchObject({ state: 'not_measured' });
    expect(JSON.stringify(effects.measured)).toContain('has activation');
  });

  it('is not run when it is asked for without', async () => {
    const { effects, provenance } = await pageOf(FILE, { measure: false });
    expect(effects.measured).toEqual({
      state: 'not_measured',
      reason: 'it was asked for without (--no-measure)',
    });
    expect(provenance.command).toBe('tracer report golden.safetensors --no-measure');
  });
});

describe('the circuit', () => {
  it('is what was annotated, suggested or named', async () => {
    mkdirSync(at('annotated'));
    const file = at('annotated', 'graph.safetensors');
    copyFileSync(FILE, file);
    const none = await pageOf(file, { measure: false });
    expect(none.circuit).toMatchObject({ origin: 'suggested', file: null });
    await expect(pageOf(file, { circuit: 'annotated' })).rejects.toMatchObject({
      code: 'nothing_pinned',
      exitCode: 2,
    });
    const named = at('annotated', 'first.annotations.json');
    await suggestForFile(file, { output: named, maxBoxes: 6 });
    const { circuit } = await pageOf(file, { circuit: 'first', measure: false });
    expect(circuit).toMatchObject({
      origin: 'named',
      file: 'first.annotations.json',
      left_out: { n_boxes: 0 },
    });
    expect(circuit.boxes).toHaveLength(6);
    const { pinnedIds } = JSON.parse(text(named)) as { pinnedIds: string[] };
    const nasty = '<img src=x>|`';
    writeFileSync(
      annotationsPath(file),
      JSON.stringify({
        pinnedIds: [...pinnedIds, '9_9_9'],
        supernodes: [[nasty, pinnedIds[0]]],
        notes: 'seen',
      }),
    );
    const own = await pageOf(file, { measure: false });
    expect(own.circuit).toMatchObject({
      origin: 'annotated',
      file: 'graph.annotations.json',
      lost_ids: ['9_9_9'],
      notes: 'seen',
    });
    expect(own.page).toContain('1 pinned node of the annotations is not in this graph');
    expect(own.page).toContain('&lt;img src=x&gt;|`');
    expect(own.provenance.annotations!.sha256).toMatch(/^[0-9a-f]{64}$/);
    const forced = await pageOf(file, { circuit: 'suggested', maxBoxes: 5, measure: false });
    expect(forced.circuit.origin).toBe('suggested');
    expect(forced.circuit.boxes.length).toBeLessThanOrEqual(5);
    await expect(pageOf(file, { maxBoxes: 5 })).rejects.toMatchObject({ code: 'limit_of_suggested' });
  });

  it('calls supernodes without a name unnamed', async () => {
    const { circuit } = await pageOf(FILE, { measure: false });
    const ids = circuit.boxes.flatMap(({ members }) => members.map(({ id }) => id));
    const file = at('unnamed.json');
    const supernodes = ids.slice(0, 2).map((id, i) => [' '.repeat(i), id]);
    writeFileSync(file, JSON.stringify({ ...emptyAnnotations(), pinnedIds: ids, supernodes }));
    const { boxes } = (await pageOf(FILE, { circuit: file, measure: false })).circuit;
    const names = boxes.filter(({ is_supernode }) => is_supernode).map(({ name }) => name);
    expect(names).toEqual(['unnamed', 'unnamed (2)']);
  });

  it('of another graph is refused, and so is a name that nothing has', async () => {
    const other = at('other.json');
    writeFileSync(other, JSON.stringify({ ...emptyAnnotations(), pinnedIds: ['9_9_9'] }));
    await expect(pageOf(FILE, { circuit: other })).rejects.toMatchObject({
      code: 'pins_of_other_graph',
      exitCode: 2,
      message: `the pinned node 9_9_9 of ${other} is not in this graph`,
    });
    await expect(pageOf(FILE, { circuit: 'nowhere' })).rejects.toMatchObject({
      code: 'circuit_not_found',
      exitCode: 3,
    });
  });
});

describe('other graphs', () => {
  it('are imported ones, whose model may be unknown', async () => {
    const file = at('imported.safetensors');
    await importGraph({ file: join(GOLDEN, 'pt', 'a-plt.pt'), output: file });
    const { effects, targets, page } = await pageOf(file, { cacheDir: at('empty-cache') });
    expect(effects.measured.state).toBe('not_measured');
    expect(targets.length).toBeGreaterThan(0);
    expect(page).toContain('There are no pages of features of');
  });

  it('are pruned ones and those that keep their scores', async () => {
    const pruned = at('pruned.safetensors');
    await pruneFile(FILE, { output: pruned });
    const first = await pageOf(pruned, { measure: false });
    expect(first.scores.whole!.n_features).toBeLessThan(graph.layout.n_features);
    const kept = at('kept.safetensors');
    const read = await readGraph(pruned);
    const scores = { replacement: 0.25, completeness: 0.5 };
    await writeGraph(kept, { ...read, provenance: { ...read.provenance, scores } });
    expect((await pageOf(kept, { measure: false })).scores.whole).toEqual({ n_features: null, scores });
  });

  it('are files of viewers, which say neither scores nor model', async () => {
    const file = at('viewer.json');
    await exportFile(FILE, { format: 'neuronpedia', output: file });
    const { scores, effects, provenance, page } = await pageOf(file);
    expect(scores.whole).toBeNull();
    expect(provenance.graph).toBeNull();
    expect(effects.measured).toMatchObject({ state: 'not_measured' });
    expect(effects.rows[0]!.changes[0]!.predicted).not.toBeNull();
    expect(page).toContain('the scores of the whole graph are not known');
    const viewer = JSON.parse(text(file)) as { nodes: { activation: number | null }[] };
    for (const node of viewer.nodes) node.activation = null;
    writeFileSync(file, JSON.stringify(viewer));
    const without = await pageOf(file);
    expect(without.effects.not_predicted).toContain('lacks activations');
    expect(without.effects.rows[0]!.changes[0]!.predicted).toBeNull();
  });
});

describe('output files', () => {
  it('never replace what the page is made from', async () => {
    const before = text(FILE);
    for (const request of [
      { output: FILE, format: 'html' },
      { output: annotationsPath(FILE), format: 'markdown' },
    ] as const) {
      await expect(report({ file: FILE, measure: false, ...request })).rejects.toMatchObject({
        code: 'output_is_input',
        exitCode: 2,
      });
    }
    expect(text(FILE)).toBe(before);
    await expect(report({ file: FILE, output: at('page.txt') })).rejects.toMatchObject({
      code: 'report_format',
    });
    await expect(report({ file: FILE, output: at('page.svg'), format: 'markdown' })).rejects.toMatchObject({
      code: 'output_is_figure',
    });
    expect(existsSync(at('page.svg'))).toBe(false);
  });
});
