/** Views of `inspect`, one for each part of the result. */
import type {
  FeatureExampleResult,
  FeaturePageResult,
  HookResult,
  InspectFeatureResult,
  InspectLayerResult,
  InspectResult,
  InspectSummaryResult,
  TokenEffectResult,
  TranscoderSetDetails,
  WeightResult,
} from '../engine/inspect/types.ts';
import type { SourceResult, Spread } from '../engine/result.ts';
import { unreachable } from '../errors.ts';
import { NO_SET } from '../transcoder/no-set.ts';
import { activationText } from './load-view.ts';
import {
  formatAmount,
  formatBytes,
  formatCount,
  formatDecimal,
  formatProbability,
  formatShape,
} from './numbers.ts';
import type { Screen } from './screen.ts';
import { facts, sections, table } from './table.ts';
import { printable, visibleToken } from './text.ts';

const right = 'right' as const;

function spreadText(spread: Spread): string {
  return [spread.min, spread.median, spread.max].map(formatDecimal).join(' / ');
}

export function hookTable(hooks: readonly HookResult[], screen: Screen): string {
  const rows = hooks.map((hook) => [printable(hook.name), printable(formatShape(hook.shape))]);
  return table([{ title: 'hook' }, { title: 'shape' }], rows, screen);
}

export function weightTable(weights: readonly WeightResult[], screen: Screen): string {
  const columns = [
    { title: 'weight' },
    { title: 'shape' },
    { title: 'dtype' },
    { title: 'size', align: right },
  ];
  const rows = weights.map((weight) => [
    printable(weight.name),
    formatShape(weight.shape),
    printable(weight.dtype),
    formatBytes(weight.bytes),
  ]);
  return table(columns, rows, screen);
}

function sourceText(source: SourceResult): string {
  const parts = [source.name];
  if (source.repository !== undefined && source.repository !== source.name) parts.push(source.repository);
  if (source.commit !== undefined) parts.push(`commit ${source.commit}`);
  if (source.folder !== undefined && source.folder !== source.name) parts.push(source.folder);
  return printable(parts.join(', '));
}

function summaryView(result: InspectSummaryResult, screen: Screen): string {
  const model = result.model_details;
  const set = result.transcoder_details;
  const heads = `${model.n_heads}, ${model.n_key_value_heads} key/value, d_head ${model.d_head}`;
  const modelFacts = facts(
    [
      ['name', sourceText(result.sources.model)],
      ['architecture', printable(model.architecture)],
      ['layers', String(model.n_layers)],
      ['d_model', formatCount(model.d_model)],
      ['heads', heads],
      ['d_mlp', formatCount(model.d_mlp)],
      ['vocabulary', formatCount(model.d_vocab)],
      ['context', `${formatCount(model.n_ctx)} tokens`],
      [
        'window',
        model.window_size === null ? 'none' : `${formatCount(model.window_size)} tokens in local layers`,
      ],
      ['parameters', formatCount(model.n_parameters)],
      ['stored as', printable(`${model.dtype}, ${formatBytes(model.bytes)}`)],
      ['hooks', formatCount(model.n_hooks)],
    ],
    screen,
  );
  const setFacts =
    set &&
    facts(
      [
        ['name', sourceText(result.sources.transcoders)],
        ['layout', set.layout],
        ['kind', set.model_kind === 'cross_layer_transcoder' ? 'cross-layer' : 'one a layer'],
        ['made for', printable(set.model_name)],
        ['transcoders', String(set.n_transcoders)],
        ['activation', set.activation],
        ['features', featureText(set)],
        ['feature input hook', printable(set.feature_input_hook)],
        ['feature output hook', printable(set.feature_output_hook)],
        ['skip connections', String(set.n_skip_connections)],
        ['scan', set.scan === null ? 'none' : printable(set.scan)],
        ['stored as', printable(`${set.dtype}, ${formatBytes(set.bytes)}`)],
      ],
      screen,
    );
  return sections(
    [
      ['Model', modelFacts],
      ['Transcoders', setFacts],
    ],
    screen,
  );
}

const OWN_MLP = 'none: the layer keeps its own MLP';

function featureText({ d_transcoder, n_features, n_transcoders }: TranscoderSetDetails): string {
  const isEven = d_transcoder * n_transcoders === n_features;
  return `${isEven ? '' : 'up to '}${formatCount(d_transcoder)} a layer, ${formatCount(n_features)} in all`;
}

function layerView(result: InspectLayerResult, screen: Screen): string {
  const { transcoder } = result;
  const statistics =
    transcoder &&
    facts(
      [
        ['activation', activationText(transcoder)],
        ['features', formatCount(transcoder.d_transcoder)],
        ['skip', transcoder.has_skip ? 'yes' : 'no'],
        ['stored as', printable(`${transcoder.dtype}, ${formatBytes(transcoder.bytes)}`)],
        ...(transcoder.threshold === null
          ? []
          : [['threshold min / median / max', spreadText(transcoder.threshold)] as const]),
        ['encoder norm min / median / max', spreadText(transcoder.encoder_norm)],
        ['decoder norm min / median / max', spreadText(transcoder.decoder_norm)],
        ['encoder bias min / median / max', spreadText(transcoder.encoder_bias)],
      ],
      screen,
    );
  return sections(
    [
      [`Layer ${result.layer}: hook points`, hookTable(result.hooks, screen)],
      ['Weights', weightTable(result.weights, screen)],
      ['Transcoder', statistics ?? (result.transcoders === NO_SET ? null : OWN_MLP)],
    ],
    screen,
  );
}

function effectTable(tokens: readonly TokenEffectResult[], screen: Screen): string {
  const columns = [{ title: 'token' }, { title: 'id', align: right }, { title: 'effect', align: right }];
  const rows = tokens.map((token) => [
    visibleToken(token.text),
    String(token.token_id),
    formatDecimal(token.effect),
  ]);
  return table(columns, rows, screen);
}

/** Number of tokens shown before and after the active one of an example. */
const TOKENS_BEFORE = 8;
const TOKENS_AFTER = 4;

function exampleText({ tokens, position }: FeatureExampleResult): string {
  const start = Math.max(0, position - TOKENS_BEFORE);
  const stop = Math.min(tokens.length, position + TOKENS_AFTER + 1);
  const part = (from: number, to: number): string => tokens.slice(from, to).join('');
  const before = `${start > 0 ? '…' : ''}${part(start, position)}`;
  const after = `${part(position + 1, stop)}${stop < tokens.length ? '…' : ''}`;
  return printable(`${before}[${tokens[position] ?? ''}]${after}`);
}

function pageFacts(page: FeaturePageResult): (readonly [string, string])[] {
  const { activation_frequency, largest_activation, fetched } = page;
  return [
    ['active at', `${formatProbability(activation_frequency)} of tokens`],
    ['largest activation', formatDecimal(largest_activation)],
    ...(fetched
      ? [['page from', printable(`Neuronpedia, ${fetched.source}, ${fetched.date}`)] as const]
      : []),
    ...(fetched?.note ? [['note', printable(fetched.note)] as const] : []),
  ];
}

function labelText({ label }: InspectFeatureResult): string {
  if (!label) return 'none';
  return `${printable(label.text)}${labelOrigin(label)}`;
}

/** Who made a label, behind its text; nothing for one that a person wrote. */
export function labelOrigin({
  origin,
  share,
  made_by,
  fetched,
}: NonNullable<InspectFeatureResult['label']>): string {
  switch (origin) {
    case 'edited':
      return '';
    case 'model': {
      const score = made_by?.score ?? null;
      return ` (by ${printable(made_by?.model ?? 'a model')}${score === null ? ', not scored' : `, score ${formatDecimal(score)}`})`;
    }
    case 'neuronpedia': {
      const by = [fetched?.model, fetched?.type, fetched?.author, fetched?.date].filter(
        (part) => part !== null && part !== undefined,
      );
      return ` (from Neuronpedia${by.map((part) => `, ${printable(part)}`).join('')})`;
    }
    case 'automatic':
      return ` (automatic${share === null ? '' : `, covers ${formatProbability(share)} of its activation`})`;
    default:
      return unreachable(origin);
  }
}

function exampleTable({ examples }: FeaturePageResult, screen: Screen): string {
  const columns = [{ title: 'activation', align: right }, { title: 'example' }];
  const rows = examples.map((example) => [
    formatDecimal(example.activations[example.position] ?? 0),
    exampleText(example),
  ]);
  return table(columns, rows, screen);
}

function featureView(result: InspectFeatureResult, screen: Screen): string {
  const numbers = facts(
    [
      ['activation', result.activation],
      ['encoder norm', formatDecimal(result.encoder_norm)],
      ['decoder norm', formatDecimal(result.decoder_norm)],
      ...(result.decoder_norms ?? []).map(
        ({ layer, norm }) => [`decoder norm into layer ${layer}`, formatDecimal(norm)] as const,
      ),
      ['threshold', formatDecimal(result.threshold)],
      ['bias', formatDecimal(result.bias)],
      ...(result.label || result.page ? [['label', labelText(result)] as const] : []),
      ...(result.page ? pageFacts(result.page) : []),
    ],
    screen,
  );
  return sections(
    [
      [`Layer ${result.layer}, feature ${result.feature}`, numbers],
      ['Tokens it promotes', effectTable(result.promotes, screen)],
      ['Tokens it suppresses', effectTable(result.suppresses, screen)],
      [
        'Where it is most active',
        result.page && result.page.examples.length > 0 ? exampleTable(result.page, screen) : null,
      ],
    ],
    screen,
  );
}

export function inspectView(result: InspectResult, screen: Screen): string {
  switch (result.view) {
    case 'summary':
      return summaryView(result, screen);
    case 'layer':
      return layerView(result, screen);
    case 'feature':
      return featureView(result, screen);
    case 'hooks':
      return `${hookTable(result.hooks, screen)}\n\n${formatAmount(result.hooks.length, 'hook')}`;
    case 'weights':
      return `${weightTable(result.weights, screen)}\n\n${formatAmount(result.weights.length, 'weight')}, ${formatBytes(result.bytes)}`;
    default:
      return unreachable(result);
  }
}
