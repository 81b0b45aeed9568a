/** Page, panel: the clicked node in detail: label, numbers, and the page of its feature. */
import type { ComponentChildren } from 'preact';
import { useEffect } from 'preact/hooks';
import type { PictureNode } from '../../../src/picture/picture-graph.ts';
import { rowName } from '../../../src/picture/picture.ts';
import type { FeatureDetail } from '../../../src/viewer/api.ts';
import { Empty, Problem } from '../parts/panel.tsx';
import { KindMark, PinButton } from '../parts/node-row.tsx';
import { number, percent } from '../parts/text.ts';
import { Token } from '../parts/token.tsx';
import { exported } from '../server.ts';
import { isFeature } from '../store/feature-node.ts';
import { detailOf, requestDetail, type Detail } from '../store/details.ts';
import { lowerTab } from '../store/ui.ts';
import { annotations, pinnedSet, supernodeOf } from '../store/annotations.ts';
import { clickedIndex, labelOf, opened, picture } from '../store/opened.ts';
import { FeaturePageView } from './feature-page.tsx';
import { LabelEditor } from './label-editor.tsx';
import { steerThese } from './try/steer.tsx';

const KIND_WORDS: Record<PictureNode['kind'], string> = {
  feature: 'Feature',
  error: 'Reconstruction error',
  embedding: 'Token embedding',
  logit: 'Output logit',
};

export function Feature() {
  const [shown, index] = [picture.value, clickedIndex.value];
  const node = shown === null || index === null ? null : shown.nodes[index]!;
  const { layer, feature } = isFeature(node) ? node : { layer: null, feature: null };
  const slug = opened.value?.slug;
  useEffect(() => {
    if (layer !== null && feature !== null) requestDetail(layer, feature);
  }, [slug, layer, feature]);
  if (node === null)
    return <Empty>Click a node to see its label, its activation and where else it is active.</Empty>;
  const detail = layer === null || feature === null ? undefined : detailOf(layer, feature);
  return (
    <article class="feature" aria-label={labelOf.value(node.index)}>
      <Head node={node} detail={detail?.state === 'here' ? detail.detail : null} />
      <Numbers node={node} detail={detail?.state === 'here' ? detail.detail : null} />
      {detail?.state === 'here' && <NumbersElsewhere detail={detail.detail} />}
      <PageOf node={node} detail={detail} />
    </article>
  );
}

function Head({ node, detail }: { readonly node: PictureNode; readonly detail: FeatureDetail | null }) {
  const label = labelOf.value(node.index);
  return (
    <header class="feature-head">
      <KindMark kind={node.kind} />
      <LabelEditor key={node.id} node={node} label={label} shown={detail?.label ?? null} />
      {opened.value?.canSteer === true && isFeature(node) && (
        <button
          type="button"
          class="button"
          onClick={() => {
            steerThese([node.id]);
            lowerTab.value = 'try';
          }}
        >
          Steer
        </button>
      )}
      <PinButton id={node.id} label={label} isPinned={pinnedSet.value.has(node.id)} />
    </header>
  );
}

interface Fact {
  readonly title: string;
  readonly content: ComponentChildren;
  readonly meaning?: string;
}

function Numbers(props: { readonly node: PictureNode; readonly detail: FeatureDetail | null }) {
  const { node, detail } = props;
  return (
    <dl class="numbers">
      {[...factsOf(node), ...factsOfFeature(detail)].map(({ title, content, meaning }) => (
        <div key={title} title={meaning}>
          <dt>{title}</dt>
          <dd>{content}</dd>
        </div>
      ))}
    </dl>
  );
}

function factsOf(node: PictureNode): Fact[] {
  const { kind, row, feature, token, position, activation, probability, influence, id } = node;
  const place = rowName(picture.value!, row);
  const facts: Fact[] = [
    { title: KIND_WORDS[kind], content: kind === 'feature' ? `${place} / ${feature}` : place },
    {
      title: 'Token',
      content: (
        <>
          <Token text={token} /> <span class="muted">{position}</span>
        </>
      ),
    },
  ];
  if (activation !== null) facts.push({ title: 'Activation', content: number(activation) });
  if (probability !== null) facts.push({ title: 'Probability', content: percent(probability) });
  if (influence !== null) {
    const meaning =
      'Share of all influence that this node and the more important ones hold: small is important';
    facts.push({ title: 'Cumulative influence', content: percent(influence), meaning });
  }
  const supernode = annotations.value.supernodes[supernodeOf(id)];
  if (supernode !== undefined) facts.push({ title: 'Supernode', content: supernode[0] });
  return facts;
}

function factsOfFeature(detail: FeatureDetail | null): Fact[] {
  if (detail === null) return [];
  const { page, label, neuronpedia } = detail;
  const facts: Fact[] = [];
  if (page !== null && page.activation_frequency > 0) {
    const meaning = 'Share of tokens at which the feature is active';
    facts.push({ title: 'Frequency', content: percent(page.activation_frequency), meaning });
  }
  if (label !== null && label.share !== null) {
    const meaning = 'Share of the activation that the automatic label covers';
    facts.push({ title: 'Label covers', content: percent(label.share), meaning });
  }
  if (neuronpedia !== null && navigator.onLine) {
    const link = (
      <a href={neuronpedia.address} target="_blank" rel="noopener noreferrer">
        Neuronpedia ↗
      </a>
    );
    facts.push({ title: 'Elsewhere', content: link });
  }
  return facts;
}

/** Where Neuronpedia's numbers are shown or linked, and are known to differ from those of the graph. */
function NumbersElsewhere({ detail: { page, neuronpedia } }: { readonly detail: FeatureDetail }) {
  const note = page?.fetched?.note ?? (navigator.onLine ? neuronpedia?.note : undefined);
  return note ? (
    <p class="muted words" role="note">
      {note}
    </p>
  ) : null;
}

function PageOf({ node, detail }: { readonly node: PictureNode; readonly detail: Detail | undefined }) {
  if (!isFeature(node)) return <KindWords kind={node.kind} />;
  if (detail === undefined || detail.state === 'loading') return <Empty>Loading the feature’s page …</Empty>;
  if (detail.state === 'failed') {
    return <Problem error={detail.error} onRetry={() => requestDetail(node.layer, node.feature)} />;
  }
  const { page, neuronpedia } = detail.detail;
  if (page !== null)
    return <FeaturePageView key={`${node.layer}_${node.feature}`} page={page} activation={node.activation} />;
  return (
    <Empty>
      {exported === null ? (
        <>
          No page of this feature was found. <code>tracer features build</code> makes pages for any set from a
          text file{neuronpedia !== null && '; '}
          {neuronpedia !== null && <code>tracer features fetch</code>}
          {neuronpedia !== null && ' brings those of Neuronpedia'}.
        </>
      ) : (
        'This file has no page of this feature.'
      )}
    </Empty>
  );
}

function KindWords({ kind }: { readonly kind: PictureNode['kind'] }) {
  const words: Record<typeof kind, string> = {
    feature: '',
    error:
      'What the transcoder of this layer does not reproduce at this token. It has no inputs: where it comes from is not traced.',
    embedding: 'The token’s own vector, where everything starts.',
    logit: 'One of the outputs that the graph explains.',
  };
  return <p class="muted words">{words[kind]}</p>;
}
