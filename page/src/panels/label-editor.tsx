/** Page, panel of a feature: its label, shown as text and edited in place. */
import { useEffect, useRef, useState } from 'preact/hooks';
import type { FeatureDetail } from '../../../src/viewer/api.ts';
import type { PictureNode } from '../../../src/picture/picture-graph.ts';
import { labelFocus } from '../actions.ts';
import { AccessToken } from '../parts/access-token.tsx';
import { exported } from '../server.ts';
import { writeLabel } from '../store/details.ts';
import { announce } from '../store/ui.ts';

const MOST_CHARACTERS = 500;

export function LabelEditor(props: {
  readonly node: PictureNode;
  readonly label: string;
  /** Of the label that is shown, where the server says who made it. */
  readonly shown: FeatureDetail['label'];
}) {
  const { node, label, shown } = props;
  const [draft, setDraft] = useState<string | null>(null);
  const [problem, setProblem] = useState<Error | null>(null);
  const input = useRef<HTMLInputElement>(null);
  const asked = labelFocus.value;
  const [seen, setSeen] = useState(asked);
  useEffect(() => {
    if (asked === seen) return;
    setSeen(asked);
    setDraft(label);
  }, [asked]);
  useEffect(() => {
    if (draft !== null) input.current?.select();
  }, [draft === null]);

  if (draft === null) {
    return (
      <h3 class="feature-label">
        <span class="feature-label-text">{label}</span>
        {shown?.origin === 'automatic' && <span class="tag">automatic</span>}
        {shown?.origin === 'neuronpedia' && (
          <span
            class="tag"
            title={[
              'Fetched from Neuronpedia',
              shown.fetched?.date,
              shown.fetched?.type,
              shown.fetched?.author,
            ]
              .filter((part) => part !== null && part !== undefined)
              .join(', ')}
          >
            Neuronpedia{shown.fetched?.model && `, ${shown.fetched.model}`}
          </span>
        )}
        {shown?.origin === 'model' && (
          <span
            class="tag"
            title="Written by a language model; the score is 1 where it tells all texts apart, 0.5 by chance"
          >
            by {shown.made_by?.model ?? 'a model'}
            {typeof shown.made_by?.score === 'number' && `, score ${shown.made_by.score.toFixed(2)}`}
          </span>
        )}
        <button
          type="button"
          class="icon-button"
          aria-label="Edit the label"
          title="Edit the label (e)"
          onClick={() => setDraft(label)}
        >
          ✎
        </button>
      </h3>
    );
  }
  const save = async () => {
    try {
      await writeLabel(node.id, draft, exported === null);
      setDraft(null);
      setProblem(null);
      announce(draft.trim() === '' ? 'Label removed.' : `Label is now ${draft.trim()}.`);
    } catch (error) {
      setProblem(error as Error);
    }
  };
  return (
    <form
      class="feature-label editing"
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
    >
      <input
        ref={input}
        type="text"
        aria-label={
          node.kind === 'feature' && exported === null
            ? 'Label of this feature, in all graphs of its set'
            : 'Label of this node'
        }
        value={draft}
        maxLength={MOST_CHARACTERS}
        onInput={(event) => setDraft(event.currentTarget.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return;
          event.stopPropagation();
          setDraft(null);
          setProblem(null);
        }}
      />
      <button type="submit" class="button primary">
        Save
      </button>
      {problem !== null && (
        <p class="field-problem" role="alert">
          {problem.message} <AccessToken error={problem} onGiven={() => void save()} />
        </p>
      )}
    </form>
  );
}
