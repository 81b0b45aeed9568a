/** Graphs of a list of prompts in the list of the server: known by the manifest, and opened only when they are asked for. */
import { describe, expect, it } from '@jest/globals';
import {
  appendFileSync,
  closeSync,
  copyFileSync,
  mkdirSync,
  openSync,
  readFileSync,
  statSync,
  writeFileSync,
  writeSync,
} from 'node:fs';
import path from 'node:path';
import { readGraph } from '../../src/graph/files.ts';
import { viewerGraph } from '../../src/graph/neuronpedia.ts';
import { pruneGraph } from '../../src/graph/prune.ts';
import type { GraphEntry, GraphList, OpenedGraph } from '../../src/viewer/api.ts';
import { madeFolder, randomPrompts } from '../study/made-graphs.ts';
import { scratchFolder } from '../support/scratch.ts';
import { answer, errorCode, openedViewer, type OpenedViewer } from './opened.ts';

const MANIFEST = 'manifest.jsonl';

interface Line {
  slug: string;
  scan?: string;
  n_nodes?: number;
  scores: { replacement: number; completeness: number };
  files: { path: string; bytes: number }[];
}

async function listOf(viewer: OpenedViewer): Promise<ReadonlyMap<string, GraphEntry>> {
  const { graphs } = answer<GraphList>(await viewer.ask('/api/graphs'));
  return new Map(graphs.map((entry) => [entry.slug, entry]));
}

function linesOf(folder: string): Line[] {
  const lines = readFileSync(path.join(folder, MANIFEST), 'utf8').trimEnd().split('\n');
  return lines.map((line) => JSON.parse(line) as Line);
}

function writeLines(folder: string, lines: readonly Line[]): void {
  writeFileSync(path.join(folder, MANIFEST), lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
}

/** As if its file had been damaged: the size stays. */
function overwriteHead(file: string): void {
  const descriptor = openSync(file, 'r+');
  writeSync(descriptor, Buffer.alloc(16, 0xff));
  closeSync(descriptor);
}

async function made(folder: string): Promise<void> {
  await madeFolder(folder, randomPrompts(4, 7));
}

describe('graphs of a list of prompts', () => {
  it('are listed with scores, nodes and metadata of the manifest, without being opened', async () => {
    await using viewer = await openedViewer(async (folder) => {
      await made(folder);
      overwriteHead(path.join(folder, 'prompt-1.safetensors'));
    });
    const graphs = await listOf(viewer);
    const [first] = linesOf(viewer.folder);
    expect(graphs.get('prompt-0')).toMatchObject({
      prompt: 'The capital of place0 is',
      ...{ kind: 'graph', scan: 'owner/set', problem: null, metadata: { group: 'even' } },
      ...{ scores: first!.scores, n_nodes: first!.n_nodes },
    });
    expect(graphs.get('prompt-1')).toMatchObject({ metadata: { group: 'odd' }, problem: null });
    const damaged = await viewer.ask('/api/graphs/prompt-1');
    expect([damaged.status, errorCode(damaged)]).toEqual([422, 'damaged_graph']);
    const { scores } = answer<OpenedGraph>(await viewer.ask('/api/graphs/prompt-0'));
    expect(scores!.replacement).toBeCloseTo(first!.scores.replacement, 5);
  });

  it('are opened where the manifest is older and does not name the set, and still have its scores', async () => {
    await using viewer = await openedViewer(async (folder) => {
      await made(folder);
      writeLines(
        folder,
        linesOf(folder).map(({ scan: _scan, n_nodes: _nodes, ...line }) => line),
      );
      overwriteHead(path.join(folder, 'prompt-1.safetensors'));
    });
    const graphs = await listOf(viewer);
    const [first] = linesOf(viewer.folder);
    expect(graphs.get('prompt-0')).toMatchObject({
      ...{ scan: 'owner/set', scores: first!.scores, n_nodes: null, metadata: { group: 'even' } },
    });
    expect(graphs.get('prompt-0')!.created_ms).not.toBeNull();
    expect(graphs.get('prompt-1')!.problem).toContain('prompt-1.safetensors');
  });

  it('are not taken for those of the manifest when their files have another size', async () => {
    await using viewer = await openedViewer(made);
    copyFileSync(
      path.join(viewer.folder, 'prompt-2.safetensors'),
      path.join(viewer.folder, 'prompt-0.safetensors'),
    );
    const [size0, size2] = [0, 2].map(
      (n) => statSync(path.join(viewer.folder, `prompt-${n}.safetensors`)).size,
    );
    expect(size0).toBe(size2);
    expect(size0).not.toBe(linesOf(viewer.folder)[0]!.files[0]!.bytes);
    expect((await listOf(viewer)).get('prompt-0')).toMatchObject({
      scores: null,
      n_nodes: null,
      metadata: {},
    });
  });

  it('are listed with what a line says that was appended since, and when the manifest is damaged by their files', async () => {
    await using viewer = await openedViewer(made);
    const [first] = linesOf(viewer.folder);
    const manifest = path.join(viewer.folder, MANIFEST);
    appendFileSync(manifest, `${JSON.stringify({ ...first, metadata: { group: 'third' } })}\n`);
    expect((await listOf(viewer)).get('prompt-0')!.metadata).toEqual({ group: 'third' });
    appendFileSync(manifest, 'nonsense\n');
    const graphs = await listOf(viewer);
    expect([...graphs.keys()]).toEqual(['prompt-0', 'prompt-1', 'prompt-2', 'prompt-3']);
    expect(graphs.get('prompt-0')).toMatchObject({ problem: null, scores: null, metadata: {} });
  });

  it('are one graph each where a line names two files, also in different folders: the graph file', async () => {
    using scratch = scratchFolder();
    const folders = ['viewed', 'graphs'].map((name) => path.join(scratch.path, name));
    const [viewed, graphs] = folders as [string, string];
    mkdirSync(viewed);
    await made(graphs);
    const twin = path.join(viewed, 'prompt-0.json');
    writeFileSync(
      twin,
      JSON.stringify(
        viewerGraph(pruneGraph(await readGraph(path.join(graphs, 'prompt-0.safetensors'))), {
          slug: 'prompt-0',
        }),
      ),
    );
    const lines = linesOf(graphs);
    lines[0]!.files.push({ path: '../viewed/prompt-0.json', bytes: statSync(twin).size });
    writeLines(graphs, lines);
    await using viewer = await openedViewer(() => undefined, { paths: folders });
    const listed = await listOf(viewer);
    expect([...listed.values()].map(({ slug, kind }) => [slug, kind])).toEqual(
      [0, 1, 2, 3].map((n) => [`prompt-${n}`, 'graph']),
    );
    await using alone = await openedViewer(() => undefined, { paths: [viewed] });
    expect((await listOf(alone)).get('prompt-0')).toMatchObject({ kind: 'viewer', scores: null });
  });
});
