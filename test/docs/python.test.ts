import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { importGraph } from '../../src/engine/graph/import.ts';
import { readGraph } from '../../src/graph/files.ts';
import { graphScores } from '../../src/graph/scores.ts';

/** The interpreter that `TRACER_PYTHON` names, else `python3`. */
const PYTHON = process.env['TRACER_PYTHON'] ?? 'python3';
const PAGE = readFileSync(path.join(import.meta.dirname, '../../docs/python.md'), 'utf8');
const GOLDEN_GRAPH = path.join(import.meta.dirname, '../fixtures/golden/pt/a-plt-top60.pt');
const [ARRAYS, NETWORKX, CIRCUIT_TRACER] = [...PAGE.matchAll(/```python\n([\s\S]*?)```/g)].map(
  (match) => match[1]!,
) as [string, string, string];
/** Of scores, which the reference sums in float32. */
const TOLERANCE = 2e-5;

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-python-'));
const at = (name: string) => path.join(folder, name);
beforeAll(() => importGraph({ file: GOLDEN_GRAPH, output: at('dallas.safetensors') }));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Runs blocks of the page, and returns what the expression after them is as JSON. */
function valueOf(expression: string, ...blocks: string[]): unknown {
  const program = [...blocks, `print("\\n" + json.dumps(${expression}))`].join('\n');
  const { status, stdout, stderr } = spawnSync(PYTHON, ['-c', program], { cwd: folder, encoding: 'utf8' });
  expect({ status, stderr: status === 0 ? '' : stderr }).toEqual({ status: 0, stderr: '' });
  return JSON.parse(stdout.trim().split('\n').at(-1)!);
}

/** A test, or what it would need. */
function withModules(modules: readonly string[], name: string, test: () => Promise<void>): void {
  const search = `import sys, importlib.util as u; sys.exit(any(u.find_spec(name) is None for name in ${JSON.stringify(modules)}))`;
  const has = spawnSync(PYTHON, ['-c', search]).status === 0;
  if (has) it(name, test);
  else
    it.skip(
      `${name} (skipped: ${PYTHON} lacks one of ${modules.join(', ')}; TRACER_PYTHON names one that has them)`,
      test,
    );
}

describe('docs/python.md', () => {
  withModules(['numpy', 'safetensors'], 'reads the arrays of a graph', async () => {
    const { layout, provenance, selected_features, active_features } = await readGraph(
      at('dallas.safetensors'),
    );
    const value = valueOf(
      '[about["prompt"], n_nodes, n_layers, rows.tolist(), features[-1].tolist()]',
      ARRAYS,
    );
    const last = selected_features.at(-1)! * 3;
    expect(value).toEqual([
      provenance.prompt,
      layout.n_nodes,
      layout.n_layers,
      Array.from({ length: layout.n_rows }, (_, row) => layout.nodeOfRow(row)),
      Array.from(active_features.subarray(last, last + 3)),
    ]);
  });

  withModules(['numpy', 'safetensors', 'networkx'], 'makes a graph of networkx', async () => {
    const { layout, edges } = await readGraph(at('dallas.safetensors'));
    const value = valueOf(
      '[len(graph), graph.number_of_edges(), nx.is_directed_acyclic_graph(graph), graph.size(weight="weight")]',
      ...[ARRAYS, NETWORKX],
    ) as [number, number, boolean, number];
    expect(value.slice(0, 3)).toEqual([layout.n_nodes, edges.filter((edge) => edge !== 0).length, true]);
    expect(value[3]).toBeCloseTo(
      Array.from(edges).reduce((sum, edge) => sum + edge, 0),
      2,
    );
  });

  withModules(
    ['numpy', 'safetensors', 'torch', 'circuit_tracer'],
    'makes a graph of circuit-tracer with the same scores, which comes back as it was',
    async () => {
      const graph = await readGraph(at('dallas.safetensors'));
      const [replacement, completeness] = valueOf(
        '[replacement, completeness]',
        ...[ARRAYS, CIRCUIT_TRACER],
      ) as [number, number];
      const scores = graphScores(graph);
      expect(Math.abs(replacement - scores.replacement)).toBeLessThanOrEqual(TOLERANCE);
      expect(Math.abs(completeness - scores.completeness)).toBeLessThanOrEqual(TOLERANCE);
      await importGraph({ file: at('dallas.pt'), output: at('again.safetensors') });
      const again = await readGraph(at('again.safetensors'));
      const { dtype: _unknown, ...provenance } = again.provenance;
      expect({ ...graph, ...again, provenance: { ...graph.provenance, ...provenance } }).toEqual(graph);
    },
  );
});
