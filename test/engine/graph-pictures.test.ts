import { createHash } from 'node:crypto';
import { copyFileSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { exportFile } from '../../src/engine/graph/export.ts';
import { exportedHtml } from '../../src/engine/graph/html.ts';
import { annotationsPath, emptyAnnotations, type Annotations } from '../../src/graph/annotations.ts';
import { writeGraph } from '../../src/graph/files.ts';
import { readViewerGraph } from '../../src/graph/read-viewer.ts';
import { readGolden } from '../graph/golden.ts';
import { all, parseXml } from '../picture/xml.ts';

const folder = mkdtempSync(path.join(tmpdir(), 'tracer-pictures-'));
const labelsBefore = process.env['TRACER_LABELS_DIR'];
afterAll(() => {
  rmSync(folder, { recursive: true, force: true });
  if (labelsBefore === undefined) delete process.env['TRACER_LABELS_DIR'];
  else process.env['TRACER_LABELS_DIR'] = labelsBefore;
});

const at = (name: string): string => path.join(folder, name);
const graphFile = at('dallas.safetensors');
const viewerFile = at('viewer.json');
const text = (name: string): string => readFileSync(at(name), 'utf8');

/** Ends a script element, is markup, and has line separators that older JavaScript refuses. */
const nasty = '</script><img src=x onerror=alert(1)> <!-- \u2028 $& $1';
const pinnedIds = ['3_15_10', '2_113_10', '2_111_10'];
const annotations: Annotations = {
  ...emptyAnnotations(),
  pinnedIds,
  supernodes: [[nasty, '2_113_10', '2_111_10']],
  clickedId: '3_15_10',
  sg_pos: '3_15_10:0.25,0.5',
  clerps: { '3_15_10': nasty },
  notes: nasty,
};

function annotate(file: string, value: Annotations): void {
  writeFileSync(annotationsPath(file), JSON.stringify(value));
}

beforeAll(async () => {
  process.env['TRACER_LABELS_DIR'] = at('labels');
  await writeGraph(graphFile, (await readGolden('tiny-a', 'graph-plt-jumprelu-p2')).graph);
  await exportFile(graphFile, { format: 'neuronpedia', output: viewerFile });
});
beforeEach(() => {
  annotate(graphFile, annotations);
  annotate(viewerFile, annotations);
});

describe.each([graphFile, viewerFile])('pictures of %s', (file) => {
  const name = path.parse(file).name;

  it('show the pruned graph as SVG, labels as text', async () => {
    const { n_nodes, n_links } = await exportFile(file, { format: 'svg' });
    const svg = parseXml(text(`${name}.svg`));
    const marks = all(svg, 'path').filter(({ children }) => children.length > 0);
    expect(marks).toHaveLength(n_nodes);
    expect(n_links).toBeGreaterThan(100);
    expect(marks.some(({ children }) => children[0]!.text.startsWith('</script>'))).toBe(true);
    expect(all(svg, 'img')).toEqual([]);
  });

  it('show the pinned subgraph with its groups', async () => {
    const options = { format: 'svg', subgraph: true, theme: 'dark' } as const;
    const { n_nodes, files } = await exportFile(file, options);
    expect(n_nodes).toBe(2);
    expect(path.basename(files[0]!.path)).toBe(`${name}.subgraph.svg`);
    expect(
      all(parseXml(text(`${name}.subgraph.svg`)), 'g').filter(
        ({ children }) => children[0]?.name === 'title',
      ),
    ).toHaveLength(2);
  });

  it('keep what is pinned, whatever the thresholds leave out', async () => {
    const thresholds = { nodeThreshold: 0.05, edgeThreshold: 0.98 };
    const drawn = async (ids: readonly string[]) => {
      annotate(file, { ...emptyAnnotations(), pinnedIds: ids });
      await exportFile(file, { format: 'neuronpedia', output: at('cut.json'), ...thresholds });
      return readViewerGraph(at('cut.json'));
    };
    const without = await drawn([]);
    const kept = new Set(without.nodes.map(({ node_id }) => node_id));
    expect(pinnedIds.filter((id) => kept.has(id))).toEqual([]);
    const { nodes, links } = await drawn(pinnedIds);
    expect(nodes.map(({ node_id }) => node_id).filter((id) => !kept.has(id)).sort()).toEqual([...pinnedIds].sort()); // prettier-ignore
    const isNew = ({ source, target }: { source: string; target: string }) =>
      pinnedIds.includes(source) || pinnedIds.includes(target);
    expect(links.filter((link) => !isNew(link))).toEqual(without.links);
    expect(links.some(isNew)).toBe(true);

    const subgraph = await exportFile(file, { format: 'svg', subgraph: true, ...thresholds });
    expect(subgraph.n_nodes).toBe(pinnedIds.length);
  });

  it('are one HTML file that holds the graph and its annotations', async () => {
    await exportFile(file, { format: 'html' });
    const page = embedded(text(`${name}.html`)) as {
      slug: string;
      opened: { kind: string; annotations: Annotations; graph: { nodes: unknown[] }; scores: object | null };
    };
    expect(page.slug).toBe(name);
    expect(page.opened.annotations).toEqual(annotations);
    expect(page.opened.graph.nodes.length).toBeGreaterThan(20);
    expect([page.opened.kind, page.opened.scores === null]).toEqual(
      file === graphFile ? ['graph', false] : ['viewer', true],
    );
  });

  it('are called by the name of the file, and in ASCII for other viewers', async () => {
    const named = at(`苹果${path.extname(file)}`);
    copyFileSync(file, named);
    await exportFile(named, { format: 'html' });
    expect(embedded(text('苹果.html'))).toMatchObject({ slug: '苹果' });
    const { files } = await exportFile(named, { format: 'neuronpedia', graphDir: at('ascii') });
    const { metadata } = await readViewerGraph(files[0]!.path);
    expect(metadata.slug).toMatch(/^[0-9a-f]{10}$/);
    expect(path.basename(files[0]!.path)).toBe(`${metadata.slug}.json`);
  });

  it('go to other viewers with their annotations', async () => {
    await exportFile(file, { format: 'neuronpedia', output: at('other.json'), slug: 'other' });
    const { qParams, nodes, metadata } = await readViewerGraph(at('other.json'));
    const { supernodes, clickedId, sg_pos } = annotations;
    expect(qParams).toEqual({ pinnedIds, supernodes, clickedId, sg_pos: '', tracer_positions: sg_pos, linkType: 'both' }); // prettier-ignore
    expect(nodes.find(({ node_id }) => node_id === '3_15_10')!.clerp).toBe(nasty);
    expect(metadata.slug).toBe('other');
  });
});

describe('a viewer file that is exported', () => {
  it('is shown whole, and pruned further only when asked', async () => {
    const whole = await exportFile(viewerFile, { format: 'svg' });
    const part = await exportFile(viewerFile, { format: 'svg', nodeThreshold: 0.5 });
    const { nodes, links } = await readViewerGraph(viewerFile);
    expect([whole.n_nodes, whole.n_links]).toEqual([nodes.length, links.length]);
    expect(part.n_nodes).toBeLessThan(whole.n_nodes);
    expect(part.n_links).toBeLessThan(whole.n_links);
  });

  it('brings its own annotations when there are none beside it', async () => {
    const brought = at('brought.json');
    await exportFile(viewerFile, { format: 'neuronpedia', output: brought, slug: 'brought' });
    const { n_nodes } = await exportFile(brought, { format: 'svg', subgraph: true });
    expect(n_nodes).toBe(2);
  });

  it('is refused by formats that need the graph itself, and never replaced; so are its annotations', async () => {
    await expect(exportFile(viewerFile, { format: 'dot' })).rejects.toMatchObject({ code: 'viewer_file' });
    for (const output of [viewerFile, annotationsPath(viewerFile)]) {
      await expect(exportFile(viewerFile, { format: 'svg', output })).rejects.toMatchObject({
        code: 'output_is_input',
      });
    }
  });

  it('with damaged annotations names their file', async () => {
    writeFileSync(annotationsPath(viewerFile), '{"pinnedIds":');
    await expect(exportFile(viewerFile, { format: 'svg' })).rejects.toThrow(
      /viewer\.annotations\.json is not JSON/,
    );
  });
});

describe('the HTML file', () => {
  const page = { version: '1', slug: 'x', opened: { label: nasty }, features: {} };

  it('lets nothing run but its own script, and reaches nothing', async () => {
    const html = await exportedHtml(page, { title: `${nasty} & more` });
    const policy = /http-equiv="Content-Security-Policy" content="([^"]+)"/.exec(html)![1]!;
    expect(policy).toMatch(/^default-src 'none'; /);
    const script = /<script type="module">([^]*?)<\/script>/.exec(html)![1]!;
    const style = /<style>([^]*?)<\/style>/.exec(html)![1]!;
    for (const part of [script, style]) {
      expect(policy).toContain(`'sha256-${createHash('sha256').update(part).digest('base64')}'`);
    }
    expect(policy).not.toMatch(/https?:|'unsafe|\*/);
    expect(html.match(/<script/g)).toHaveLength(2);
    expect(html.match(/<\/script>/g)).toHaveLength(2);
    expect(html).not.toMatch(/<(?:script|link|img|iframe)[^>]*(?:src|href)=/);
    expect(html).not.toContain('<img');
  });

  it('gives back its data exactly, whatever they hold', async () => {
    const html = await exportedHtml(page);
    expect(embedded(html)).toEqual(page);
    expect(html).not.toContain('\u2028');
  });
});

function embedded(html: string): unknown {
  return JSON.parse(/<script type="application\/json" id="tracer-export">([^]*?)<\/script>/.exec(html)![1]!);
}
