/** Page, panel Try out: multiplies activations of features and shows the effect on the next token. */
import { computed, effect, signal } from '@preact/signals';
import type { PictureNode } from '../../../../src/picture/picture-graph.ts';
import type { InterveneResult } from '../../../../src/engine/intervene/types.ts';
import { Slider } from '../../parts/slider.tsx';
import { KindMark, placeOf } from '../../parts/node-row.tsx';
import { number, percent, signed } from '../../parts/text.ts';
import { Token } from '../../parts/token.tsx';
import { isFeature } from '../../store/feature-node.ts';
import { job, startJob } from '../../store/jobs.ts';
import { annotations, supernodeOf } from '../../store/annotations.ts';
import { clickedIndex, labelOf, opened, picture } from '../../store/opened.ts';
import { tryKind } from './kind.ts';
import { JobProgress } from './progress.tsx';

interface Target {
  readonly name: string;
  readonly ids: readonly string[];
  readonly factor: number;
}

const FACTORS = { least: -4, most: 8, step: 0.25, start: 0 } as const;

const targets = signal<readonly Target[]>([]);
const freeAttention = signal(false);

const slug = computed(() => opened.value?.slug);
effect(() => {
  if (slug.value !== undefined) targets.value = []; // they belong to another graph
});

/** Features among these nodes; those of one supernode are steered together. */
export function steerThese(ids: readonly string[]): void {
  tryKind.value = 'steer';
  const features = ids.filter((id) => nodeOf(id)?.kind === 'feature');
  if (features.length === 0) return;
  const supernode = annotations.value.supernodes[supernodeOf(features[0]!)];
  const whole =
    supernode !== undefined && features.every((id) => supernode.includes(id, 1)) && features.length > 1;
  const name = whole ? supernode[0]! : features.map((id) => labelOf.value(nodeOf(id)!.index)).join(' + ');
  const others = targets.value
    .map((target) => ({ ...target, ids: target.ids.filter((id) => !features.includes(id)) }))
    .filter((target) => target.ids.length > 0);
  targets.value = [...others, { name, ids: features, factor: FACTORS.start }];
  run();
}

/** Choices: the clicked feature and the supernodes with features. */
const choices = computed(() => {
  const [shown, index] = [picture.value, clickedIndex.value];
  const clicked = shown === null || index === null ? undefined : shown.nodes[index];
  const single =
    clicked?.kind === 'feature' ? [{ name: labelOf.value(clicked.index), ids: [clicked.id] }] : [];
  const groups = annotations.value.supernodes.map(([name = '', ...ids]) => ({
    name,
    ids: ids.filter((id) => nodeOf(id)?.kind === 'feature'),
  }));
  const taken = new Set(targets.value.map(({ ids }) => ids.join()));
  return [...single, ...groups].filter(({ ids }) => ids.length > 0 && !taken.has(ids.join()));
});

export function Steer() {
  if (opened.value?.canSteer !== true) {
    return (
      <p class="muted words">
        The loaded model is not the one that this graph was made with, so its features cannot be steered.
      </p>
    );
  }
  return (
    <div class="steer">
      {targets.value.length === 0 && (
        <p class="muted words">
          Choose what to steer. The factor multiplies the activation: 0 ablates, 1 changes nothing.
        </p>
      )}
      <ul class="targets" aria-label="What is steered">
        {targets.value.map((target, place) => (
          <TargetRow key={target.ids.join()} target={target} place={place} />
        ))}
      </ul>
      <div class="steer-tools">
        {choices.value.map(({ name, ids }) => (
          <button key={ids.join()} type="button" class="button" onClick={() => steerThese(ids)}>
            + {name}
          </button>
        ))}
        <label class="check">
          <input
            type="checkbox"
            checked={freeAttention.value}
            onChange={(event) => {
              freeAttention.value = event.currentTarget.checked;
              run();
            }}
          />
          attention reacts too
        </label>
      </div>
      <JobProgress kind="steer">
        <Effect />
      </JobProgress>
    </div>
  );
}

function TargetRow({ target, place }: { readonly target: Target; readonly place: number }) {
  const node = nodeOf(target.ids[0]!);
  const change = (factor: number) =>
    (targets.value = targets.value.map((other, i) => (i === place ? { ...other, factor } : other)));
  return (
    <li class="target">
      <span class="target-name">
        <KindMark kind="feature" /> {target.name}{' '}
        <span class="muted">
          {target.ids.length > 1 ? `${target.ids.length} features` : node === undefined ? '' : placeOf(node)}
        </span>
      </span>
      <Slider
        label="factor"
        value={target.factor}
        min={FACTORS.least}
        max={FACTORS.most}
        step={FACTORS.step}
        text={`${number(target.factor)} ×`}
        onMove={change}
        onRest={(factor) => {
          change(factor);
          run();
        }}
      />
      <button
        type="button"
        class="icon-button"
        aria-label={`No longer steer ${target.name}`}
        onClick={() => {
          targets.value = targets.value.filter((_other, i) => i !== place);
          run();
        }}
      >
        ✕
      </button>
    </li>
  );
}

function Effect() {
  const result = job.value?.status?.result;
  if (result?.kind !== 'steer') return null;
  return (
    <>
      <Warnings />
      <EffectTable result={result.result} />
    </>
  );
}

function Warnings() {
  const warnings = job.value?.status?.warnings ?? [];
  return warnings.length === 0 ? null : <p class="warning">{warnings.join(' ')}</p>;
}

function EffectTable({ result }: { readonly result: InterveneResult }) {
  const most = result.changes.reduce(
    (largest, { probability_before, probability_after }) =>
      Math.max(largest, probability_before, probability_after),
    0,
  );
  return (
    <table class="effect" id="steer-effect">
      <caption>Next token, before and after; KL divergence {number(result.kl_divergence)} nats</caption>
      <thead>
        <tr>
          <th scope="col">Token</th>
          <th scope="col">Probability</th>
          <th scope="col" class="num">
            Before
          </th>
          <th scope="col" class="num">
            After
          </th>
          <th scope="col" class="num">
            Logit
          </th>
        </tr>
      </thead>
      <tbody>
        {result.changes.map((change) => (
          <tr key={change.token_id}>
            <th scope="row">
              <Token text={change.text} />
            </th>
            <td class="pair" aria-hidden="true">
              <span class="before" style={{ inlineSize: `${(change.probability_before / most) * 100}%` }} />
              <span class="after" style={{ inlineSize: `${(change.probability_after / most) * 100}%` }} />
            </td>
            <td class="num">{percent(change.probability_before)}</td>
            <td class="num">{percent(change.probability_after)}</td>
            <td class="num">{signed(change.logit_after - change.logit_before)}</td>
          </tr>
        ))}
      </tbody>
    </table>
  );
}

function run(): void {
  const changes = targets.value.flatMap(({ ids, factor }) =>
    ids.flatMap((id) => {
      const node = nodeOf(id);
      if (!isFeature(node)) return [];
      return [{ layer: node.layer, position: node.position, feature: node.feature, factor }];
    }),
  );
  if (slug.value === undefined || changes.length === 0) return;
  void startJob({ kind: 'steer', slug: slug.value, changes, freeze_attention: !freeAttention.value });
}

function nodeOf(id: string): PictureNode | undefined {
  const shown = picture.value;
  return shown?.nodes[shown.indexById.get(id) ?? -1];
}
