import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { labelFeature } from '../../src/engine/features/labels.ts';
import { pairingNumber } from '../../src/features/page-source.ts';
import { asciiName } from '../../src/graph/slug.ts';
import type { FeatureDetail, OpenedGraph } from '../../src/viewer/api.ts';
import { somePage } from '../features/pages.ts';
import { readExpected } from '../graph/golden.ts';
import { goldenPath } from '../support/golden.ts';
import { environment, scratchFolder } from '../support/scratch.ts';
import { answer, errorCode, openedViewer, type OpenedViewer } from './opened.ts';

const SLUG = 'graph-plt-jumprelu-p2';
const SCAN = 'golden-tiny-a/plt-jumprelu';

const scratch = scratchFolder();
const labels = path.join(scratch.path, 'labels');
const variables = environment({ TRACER_LABELS_DIR: labels });
let opened: OpenedViewer;
/** A feature of the graph. */
let layer: number;
let feature: number;

beforeAll(async () => {
  const { nodes } = readExpected('tiny-a', `graph-files/${SLUG}.json`) as OpenedGraph['graph'];
  const node = nodes.find(({ activation }) => activation !== null)!;
  [layer, feature] = node.node_id.split('_').map(Number) as [number, number];
  const pages = path.join(scratch.path, 'pages', ...SCAN.split('/'));
  mkdirSync(pages, { recursive: true });
  const page = { ...somePage(feature), label: { text: 'automatic', share: 0.5, automatic: true } };
  writeFileSync(path.join(pages, `${pairingNumber(layer, feature)}.json`), JSON.stringify(page));
  writeFileSync(path.join(pages, `${pairingNumber(0, 7777)}.json`), '{"histogram":"damaged"}');
  opened = await openedViewer(undefined, { features: path.join(scratch.path, 'pages') });
});
afterAll(async () => {
  await opened[Symbol.asyncDispose]();
  variables[Symbol.dispose]();
  scratch[Symbol.dispose]();
});

async function shownLabel(): Promise<string | undefined> {
  const { labels: all } = answer<OpenedGraph>(await opened.ask(`/api/graphs/${SLUG}`));
  return all[`${layer}_${feature}`];
}

function putLabel(text: unknown) {
  return opened.send('PUT', `/api/graphs/${SLUG}/labels/${layer}/${feature}`, { text });
}

describe('a feature', () => {
  it('has the page of the folder, with its automatic label', async () => {
    const detail = answer<FeatureDetail>(
      await opened.ask(`/api/graphs/${SLUG}/features/${layer}/${feature}`),
    );
    expect(detail).toMatchObject({
      layer,
      feature,
      label: { text: 'automatic', origin: 'automatic', share: 0.5 },
    });
    expect(detail.page).toMatchObject({ index: feature, histogram: [3, 2, 1], top_logits: [' up', ' more'] });
    expect(await shownLabel()).toBe('automatic');
  });

  it('without a page is told as such, a damaged page as damaged, and the graph opens all the same', async () => {
    const none = answer<FeatureDetail>(await opened.ask(`/api/graphs/${SLUG}/features/3/99`));
    expect(none).toEqual({ layer: 3, feature: 99, page: null, label: null, neuronpedia: null });
    expect((await opened.ask(`/api/graphs/${SLUG}/features/0/7777`)).status).toBe(422);
    expect((await opened.ask(`/api/graphs/${SLUG}`)).status).toBe(200);
  });

  it('of a set that the folder has nothing of is looked for elsewhere', async () => {
    const detail = answer<FeatureDetail>(await opened.ask('/api/graphs/graph-plt-topk-p2/features/0/1'));
    expect(detail.page).toBeNull();
  });

  it.each(['-1/0', '0/-1', '0/x', '0/1.5', '0/1e3', '%2e%2e/0', '0/99999999999999999999', '0x1/0'])(
    'is named by two numbers: %s is refused',
    async (place) => {
      const reply = await opened.ask(`/api/graphs/${SLUG}/features/${place}`);
      expect([400, 404]).toContain(reply.status);
    },
  );
});

describe('a label', () => {
  it('is kept for the set, shown in place of the automatic one, and can be taken back', async () => {
    const markup = 'says <b>"Dallas"</b> & <script>alert(1)</script>';
    const edited = answer<FeatureDetail>(await putLabel(`  ${markup} `));
    expect(edited.label).toEqual({ text: markup, origin: 'edited', share: null });
    expect(await shownLabel()).toBe(markup);
    expect(existsSync(labels)).toBe(true);
    await using other = await openedViewer(undefined, { features: path.join(scratch.path, 'pages') });
    const elsewhere = answer<OpenedGraph>(await other.ask(`/api/graphs/${SLUG}`));
    expect(elsewhere.labels[`${layer}_${feature}`]).toBe(markup);
    const back = answer<FeatureDetail>(await putLabel(''));
    expect(back.label).toMatchObject({ text: 'automatic', origin: 'automatic' });
    expect(await shownLabel()).toBe('automatic');
  });

  it('of a local set is the one that the commands keep, however its name was written', async () => {
    const set = goldenPath('tiny-a', 'transcoders', 'plt-jumprelu');
    const transcoders = `./${path.relative(process.cwd(), set)}`;
    const model = goldenPath('tiny-a', 'model');
    const fill = (folder: string): void => {
      const viewer = readExpected('tiny-a', `graph-files/${SLUG}.json`) as OpenedGraph['graph'];
      const metadata = { ...viewer.metadata, scan: asciiName(transcoders) };
      writeFileSync(path.join(folder, `${SLUG}.json`), JSON.stringify({ ...viewer, metadata }));
    };
    const common = { device: 'wasm', offline: true, model } as const;
    await using local = await openedViewer(fill, { common: { ...common, transcoders } });
    const edited = await local.send('PUT', `/api/graphs/${SLUG}/labels/${layer}/${feature}`, {
      text: 'mine',
    });
    expect(edited.status).toBe(200);
    const known = await labelFeature({ ...common, transcoders: set, layer, feature });
    expect(known.label).toEqual({ text: 'mine', origin: 'edited', share: null });
  });

  it.each([
    ['two lines', 'two\nlines'],
    ['501 characters', 'x'.repeat(501)],
    ['a number', 1],
    ['nothing', null],
  ])('has to be a short line: %s are refused', async (_, text) => {
    const reply = await putLabel(text);
    expect(reply.status).toBe(400);
    expect(errorCode(reply)).toBeTruthy();
    expect(await shownLabel()).toBe('automatic');
  });
});

describe('a folder of pages', () => {
  it('that is not there is refused at the start', async () => {
    await expect(openedViewer(undefined, { features: '/nowhere/pages' })).rejects.toMatchObject({
      exitCode: 3,
    });
  });
});
