/** Page, panel: attention: which heads carry a link or bring most to a node, and why a head looks where it looks. */
import { useRef } from 'preact/hooks';
import type { HeadAnswer } from '../../../../src/viewer/api.ts';
import { Problem } from '../../parts/panel.tsx';
import { onListKey, ROW_BUTTON } from '../../parts/list-keys.ts';
import { count, percent, signed, visibleToken } from '../../parts/text.ts';
import {
  answers,
  answersError,
  ask,
  canAsk,
  headAnswer,
  headAsked,
  isHeadPending,
  linkAnswer,
  linkAsked,
  load,
  nodeAnswer,
  nodeAsked,
  questionOf,
} from '../../store/attention.ts';
import { clickedIndex, opened } from '../../store/opened.ts';
import { job } from '../../store/jobs.ts';
import { JobProgress } from '../try/progress.tsx';
import { Head } from './head.tsx';
import { HeadEffects } from './head-effects.tsx';
import { Link } from './link.tsx';
import { NodeHeads } from './node-heads.tsx';
import { NodeButton } from './node-button.tsx';
import { endName } from './names.ts';
import { Warnings } from './warnings.tsx';

export function Attention() {
  const slug = opened.value?.slug;
  const error = answersError.value;
  const link = linkAnswer.value;
  const node = nodeAnswer.value;
  const lastHead = useRef<HeadAnswer | null>(null);
  if (headAnswer.value !== null) lastHead.current = headAnswer.value;
  // While another cell or contrast is computed, the answer before stays, and with it the focus.
  const isWaiting = isHeadPending.value;
  const head = isWaiting ? lastHead.current : headAnswer.value;
  return (
    <div class="attention">
      {error !== null && (
        <Problem
          error={error}
          failed="What was answered before cannot be read"
          onRetry={() => void load(slug!)}
        />
      )}
      <Choices />
      {/* A removal shows its progress where it was asked for. */}
      {!(head !== null && job.value?.request.kind === 'remove_head') && (
        <JobProgress kind="attention">
          <Warnings />
        </JobProgress>
      )}
      {link !== null && <Link answer={link} />}
      {link === null && linkAsked.value !== null && <NotAsked what="link" />}
      {node !== null && <NodeHeads answer={node} />}
      {node === null && nodeAsked.value !== null && <NotAsked what="node" />}
      {head !== null && <Head answer={head} isWaiting={isWaiting} />}
      {head === null && headAsked.value !== null && <NotAsked what="head" />}
      {link === null && node === null && head === null && <HeadEffects />}
    </div>
  );
}

/** What there is to ask, and what was asked before. */
function Choices() {
  const { links, nodes, heads, effects } = answers.value;
  const total = links.length + nodes.length + heads.length;
  return (
    <>
      {linkAsked.value === null && nodeAsked.value === null && headAsked.value === null && (
        <p class="muted words">
          {canAsk.value
            ? `Press the arch beside a connection${clickedIndex.value === null ? ' (click a node first)' : ''} to see which heads carry it.`
            : 'The model of this graph is not loaded: what was answered before can be read.'}
        </p>
      )}
      <div class="attention-tools">
        {(canAsk.value || effects !== null) && (
          <button type="button" class="button" onClick={() => ask({ about: 'heads' })}>
            Heads by effect
          </button>
        )}
        <NodeButton />
        {total > 0 && (
          <details class="answered">
            <summary>{count(total, 'answer')}</summary>
            <ul class="rows" aria-label="Answered before, the latest first" onKeyDown={onListKey}>
              {links.toReversed().map(({ edges: [edge] }, i) => (
                <li class="row" key={`link ${i}`}>
                  <button
                    type="button"
                    class={ROW_BUTTON}
                    onClick={() => ask({ about: 'link', source: edge!.source.id, target: edge!.target.id })}
                  >
                    <span class="row-label">
                      {endName(edge!.source)} → {endName(edge!.target)}
                    </span>
                    <span class="row-place">{signed(edge!.weight)}</span>
                  </button>
                </li>
              ))}
              {nodes.toReversed().map(({ node, total }, i) => (
                <li class="row" key={`node ${i}`}>
                  <button
                    type="button"
                    class={ROW_BUTTON}
                    onClick={() => ask({ about: 'node', node: node.id })}
                  >
                    <span class="row-label">Heads of {endName(node)}</span>
                    <span class="row-place">{signed(total)}</span>
                  </button>
                </li>
              ))}
              {heads.toReversed().map((one, i) => (
                <li class="row" key={`head ${i}`}>
                  <button type="button" class={ROW_BUTTON} onClick={() => ask(questionOf(one))}>
                    <span class="row-label">
                      Head {one.layer}.{one.head}: {visibleToken(one.query.token)} →{' '}
                      {visibleToken(one.key.token)}
                      {one.against !== null && ', contrast'}
                    </span>
                    <span class="row-place">{percent(one.pattern)}</span>
                  </button>
                </li>
              ))}
            </ul>
          </details>
        )}
      </div>
    </>
  );
}

function NotAsked({ what }: { readonly what: string }) {
  return canAsk.value ? null : (
    <p class="muted words">This {what} was not asked about while the model of the graph was loaded.</p>
  );
}
