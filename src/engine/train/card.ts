/** Engine, verb `train`: the card of a set, `README.md`: what it is of, how it was made, and how good it is. */
import { writeFileAtomic } from '../../formats/atomic.ts';
import type { EvaluateResult } from '../evaluate/types.ts';
import { basename } from 'node:path';
import { packageVersion } from '../provenance.ts';
import { shownLayers } from './progress-line.ts';
import type { Trained } from './trained.ts';
import type { TrainRequest } from './types.ts';

export interface CardInput {
  readonly request: TrainRequest;
  readonly trained: Trained;
  readonly evaluation: EvaluateResult | null;
}

export async function writeCard(path: string, input: CardInput): Promise<void> {
  await writeFileAtomic(path, cardOf(input));
}

export function cardOf({ request, trained, evaluation }: CardInput): string {
  const { recipe, modelName, outcome, identity, context } = trained;
  const rows: [string, string][] = [
    ['model', modelName],
    ['kind', recipe.kind],
    ['layers', shownLayers(recipe.layers)],
    ['features a layer', String(recipe.d_transcoder)],
    ['activation', activationText(recipe)],
    ['skip connection', recipe.hasSkip ? 'yes' : 'no'],
    ['reads', recipe.feature_input_hook],
    ['writes', recipe.feature_output_hook],
    [
      'tokens',
      `${outcome.n_tokens}${outcome.endedEarly ? `, where the corpus ended; ${recipe.tokens} were wanted` : ''}`,
    ],
    ['context', String(context)],
    ['tokens a step', String(recipe.batchTokens)],
    ['optimiser', `${recipe.optimizer}, learning rate ${recipe.learningRate}`],
    ['warm-up and decay', `${recipe.warmup} and ${recipe.decay} of the tokens`],
    ['seed', String(recipe.seed)],
    ['corpus', request.corpus.map((file) => basename(file)).join(', ')],
    ['fingerprint of the corpus', identity['corpus']!.split(',').join(', ')],
    ['tracer', packageVersion()],
  ];
  const lines = [
    '---',
    'library_name: tracer',
    'tags:',
    '- transcoder',
    '- circuit-tracer',
    '---',
    '',
    `# Transcoders of ${basename(modelName)}`,
    '',
    'Features in place of the MLPs of a language model, for attribution graphs. Files are as `circuit-tracer` reads them; made by `tracer train`.',
    '',
    '| | |',
    '| --- | --- |',
    ...rows.map(([name, value]) => `| ${name} | ${value} |`),
    '',
    '## How good it is',
    '',
    ...(evaluation ? measures(evaluation) : ['It was not evaluated: there were no held-out documents.']),
    '',
    '## Made by',
    '',
    '```sh',
    commandOf(request, trained),
    '```',
    '',
  ];
  return lines.join('\n');
}

function activationText({ activation, k, l0 }: Trained['recipe']): string {
  return activation === 'topk' || activation === 'batchtopk'
    ? `${activation}, k = ${k}`
    : `${activation}, steered to ${l0} active features a token`;
}

function measures({ layers, all, n_tokens }: EvaluateResult): string[] {
  const number = (value: number | null): string => (value === null ? '-' : value.toFixed(4));
  return [
    `On ${n_tokens} tokens of documents that nothing was trained on (\`held-out.jsonl\`):`,
    '',
    '| layer | explained variance | cosine | active a token | never active | loss recovered |',
    '| --- | --- | --- | --- | --- | --- |',
    ...layers.map(
      (one) =>
        `| ${one.layer} | ${number(one.explained_variance)} | ${number(one.cosine)} | ${number(one.l0)} | ${number(one.never_active_share)} | ${number(one.ce_recovered)} |`,
    ),
    '',
    `With these layers replaced together the loss is ${number(all.ce_replaced)} nats a token instead of ${number(all.ce_clean)}; ${number(all.ce_recovered)} of what their means lose is recovered.`,
  ];
}

/** The command with everything that the set depends on; paths are left to whoever repeats it. */
function commandOf(request: TrainRequest, { recipe, modelName, context }: Trained): string {
  const flags: [string, string | number | true | undefined][] = [
    ['model', modelName],
    ['corpus', request.corpus.map((file) => basename(file)).join(' ')],
    ['output', basename(request.output)],
    ['layers', shownLayers(recipe.layers).replaceAll(' ', '')],
    ['kind', recipe.kind],
    ['activation', recipe.activation],
    ['k', recipe.k],
    ['l0', recipe.activation === 'jumprelu' || recipe.activation === 'relu' ? recipe.l0 : undefined],
    ['skip', recipe.hasSkip || undefined],
    ['features', recipe.d_transcoder],
    ['input-hook', recipe.feature_input_hook],
    ['output-hook', recipe.feature_output_hook],
    ['tokens', recipe.tokens],
    ['context', context],
    ['batch-tokens', recipe.batchTokens],
    ['optimizer', recipe.optimizer],
    ['lr', recipe.learningRate],
    ['warmup', recipe.warmup],
    ['decay', recipe.decay],
    ['seed', recipe.seed],
    ['dtype', recipe.dtype],
    ['field', request.field],
    ['whole-files', request.wholeFiles || undefined],
    ['no-packing', request.packing === false || undefined],
    ['shuffle', request.shuffle],
    ['epochs', request.epochs],
  ];
  const given = flags.filter(([, value]) => value !== undefined);
  return `tracer train ${given.map(([name, value]) => (value === true ? `--${name}` : `--${name} ${value}`)).join(' ')}`;
}
