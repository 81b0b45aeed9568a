/** Page, dialog: exports as SVG, as one HTML file or as viewer JSON. */
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import { subgraphSvg } from '../../../src/picture/subgraph-svg.ts';
import { graphSvg } from '../../../src/picture/svg.ts';
import { exportAddress, exported } from '../server.ts';
import { isSaved, saveNow } from '../store/sync.ts';
import { theme } from '../store/ui.ts';
import { annotations } from '../store/annotations.ts';
import { clickedId, labelOf, opened, thresholds, visible } from '../store/opened.ts';
import { copyLink } from '../keyboard/commands.ts';

export function Export() {
  const open = opened.value;
  useEffect(saveNow, []); // the server exports what is saved
  if (open === null) return null;
  const ready = isSaved(open.slug);
  const hasPins = annotations.value.pinnedIds.length > 0;
  return (
    <ul class="exports">
      <Choice
        title="Subgraph as SVG"
        about={hasPins ? 'The pinned nodes as they are arranged.' : 'Nothing is pinned yet.'}
      >
        <button type="button" class="button" id="export-subgraph" disabled={!hasPins} onClick={saveSubgraph}>
          Save SVG
        </button>
      </Choice>
      <Choice title="Graph as SVG" about="What is visible at the present thresholds.">
        <button type="button" class="button" id="export-graph" onClick={saveGraph}>
          Save SVG
        </button>
      </Choice>
      {exported === null && (
        <>
          <Choice
            title="One HTML file"
            about="This page with this graph; works from disk, without a server or a network."
          >
            <Download id="export-html" slug={open.slug} form="html" ready={ready} />
          </Choice>
          <Choice
            title="Viewer JSON"
            about="With the annotations, for this viewer, circuit-tracer’s and Neuronpedia’s."
          >
            <Download id="export-json" slug={open.slug} form="json" ready={ready} />
          </Choice>
        </>
      )}
      <Choice title="Link" about="Opens this view again, on a server with this graph.">
        <button type="button" class="button" onClick={() => void copyLink()}>
          Copy link
        </button>
      </Choice>
    </ul>
  );
}

function Choice(props: {
  readonly title: string;
  readonly about: string;
  readonly children: ComponentChildren;
}) {
  return (
    <li>
      <div>
        <strong>{props.title}</strong>
        <p class="muted">{props.about}</p>
      </div>
      {props.children}
    </li>
  );
}

function Download(props: {
  readonly id: string;
  readonly slug: string;
  readonly form: 'html' | 'json';
  readonly ready: boolean;
}) {
  const { id, slug, form, ready } = props;
  return (
    <a
      class="button"
      id={id}
      href={exportAddress(slug, form, thresholds.value)}
      download={`${slug}.${form}`}
      aria-disabled={!ready}
    >
      Save {form.toUpperCase()}
    </a>
  );
}

function saveSubgraph(): void {
  const open = opened.value;
  if (open === null) return;
  const { pinnedIds, supernodes, sg_pos } = annotations.value;
  save(
    `${open.slug}-subgraph.svg`,
    subgraphSvg(open.picture, {
      theme: theme.value,
      pinnedIds,
      supernodes,
      sg_pos,
      labelOf: labelOf.value,
      title: open.slug,
    }),
  );
}

function saveGraph(): void {
  const open = opened.value;
  if (open === null || visible.value === null) return;
  save(
    `${open.slug}.svg`,
    graphSvg(open.picture, {
      theme: theme.value,
      visible: visible.value,
      labelOf: labelOf.value,
      clicked: clickedId.value === '' ? null : clickedId.value,
      pinned: annotations.value.pinnedIds,
      title: open.slug,
    }),
  );
}

function save(name: string, svg: string): void {
  const address = URL.createObjectURL(new Blob([svg], { type: 'image/svg+xml' }));
  const link = document.createElement('a');
  link.href = address;
  link.download = name;
  link.click();
  URL.revokeObjectURL(address);
}
