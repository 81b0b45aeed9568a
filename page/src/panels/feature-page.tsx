/** Page, panel of a feature: promoted tokens, activation statistics and examples. */
import { useState } from 'preact/hooks';
import type { FeatureExample, FeaturePage } from '../../../src/transcoder/feature-page.ts';
import { number } from '../parts/text.ts';
import { HeatToken, Token } from '../parts/token.tsx';

type Quantile = FeaturePage['examples_quantiles'][number];

const FIRST_EXAMPLES = 4;
/** Number of tokens shown on both sides of the active one of an example. */
const CONTEXT = { before: 22, after: 10 } as const;

export function FeaturePageView({
  page,
  activation,
}: {
  readonly page: FeaturePage;
  readonly activation: number | null;
}) {
  const most = page.act_max > 0 ? page.act_max : strongest(page);
  return (
    <>
      <div class="feature-columns">
        <Logits title="Promotes" tokens={page.top_logits} />
        <Logits title="Suppresses" tokens={page.bottom_logits} />
        <Histogram page={page} most={most} activation={activation} />
      </div>
      {page.fetched !== undefined && (
        <p class="muted words">
          From Neuronpedia, {page.fetched.source}, {page.fetched.date}
        </p>
      )}
      {page.examples_quantiles.map((quantile) => (
        <Examples key={quantile.quantile_name} quantile={quantile} most={most} />
      ))}
    </>
  );
}

function Logits({ title, tokens }: { readonly title: string; readonly tokens: readonly string[] }) {
  if (tokens.length === 0) return null;
  return (
    <section>
      <h4>{title}</h4>
      <p class="tokens">
        {tokens.map((token, i) => (
          <Token key={i} text={token} />
        ))}
      </p>
    </section>
  );
}

const HISTOGRAM = { width: 200, height: 48 } as const;

/** Counts span many orders of magnitude, so heights are logarithmic. */
function Histogram(props: {
  readonly page: FeaturePage;
  readonly most: number;
  readonly activation: number | null;
}) {
  const { page, most, activation } = props;
  const { histogram, histogram_bin_width: binWidth } = page;
  if (histogram.length === 0) return null;
  const { width, height } = HISTOGRAM;
  const tallest = Math.log1p(histogram.reduce((most, count) => Math.max(most, count)));
  const step = width / histogram.length;
  const [start, end] = binWidth === undefined ? [page.act_min, most] : [0, histogram.length * binWidth];
  const place = activation === null || end <= start ? null : ((activation - start) / (end - start)) * width;
  const words = `Histogram of activations from ${number(start)} to ${number(end)}, counts on a logarithmic scale`;
  return (
    <section>
      <h4>Activations</h4>
      <svg
        class="histogram"
        viewBox={`0 0 ${width} ${height}`}
        role="img"
        aria-label={words}
        preserveAspectRatio="none"
      >
        {histogram.map((n, i) => {
          const bar = tallest === 0 ? 0 : (Math.log1p(n) / tallest) * height;
          return <rect key={i} x={i * step} y={height - bar} width={step * 0.88} height={bar} />;
        })}
        {place !== null && (
          <line
            class="here"
            x1={Math.min(width - 1, place)}
            x2={Math.min(width - 1, place)}
            y1="0"
            y2={height}
          />
        )}
      </svg>
      <p class="axis muted">
        <span>{number(start)}</span>
        {activation !== null && <span class="here-text">here {number(activation)}</span>}
        <span>{number(end)}</span>
      </p>
    </section>
  );
}

function Examples({ quantile, most }: { readonly quantile: Quantile; readonly most: number }) {
  const [all, setAll] = useState(false);
  const { quantile_name: name, examples } = quantile;
  if (examples.length === 0) return null;
  const shown = all ? examples : examples.slice(0, FIRST_EXAMPLES);
  return (
    <section class="examples">
      <h4>
        {name} <span class="muted">{examples.length}</span>
        {examples.length > FIRST_EXAMPLES && (
          <button type="button" class="link-button" aria-expanded={all} onClick={() => setAll(!all)}>
            {all ? 'fewer' : 'all'}
          </button>
        )}
      </h4>
      <ol>
        {shown.map((example, i) => (
          <Example key={i} example={example} most={most} />
        ))}
      </ol>
    </section>
  );
}

function Example({ example, most }: { readonly example: FeatureExample; readonly most: number }) {
  const { tokens, tokens_acts_list: activations, train_token_ind: place } = example;
  const from = Math.max(0, place - CONTEXT.before);
  const to = Math.min(tokens.length, place + CONTEXT.after + 1);
  const peak = activations.reduce((max, value) => Math.max(max, value), 0);
  return (
    <li class="example">
      <span class="example-peak" title="strongest activation in this text">
        {number(peak)}
      </span>
      <span class="example-text">
        {from > 0 && '… '}
        {tokens.slice(from, to).map((token, i) => (
          <HeatToken
            key={i}
            text={token}
            activation={activations[from + i] ?? 0}
            most={most}
            marked={from + i === place}
          />
        ))}
        {to < tokens.length && ' …'}
      </span>
    </li>
  );
}

function strongest(page: FeaturePage): number {
  let most = 0;
  for (const { examples } of page.examples_quantiles) {
    for (const { tokens_acts_list: list } of examples) for (const value of list) most = Math.max(most, value);
  }
  return most;
}
