/** Engine, verb `train`: the card of a set, `README.md`: what it is of, how it was made, and how good it is. */
import { createHash } from 'node:crypto';
import { basename, isAbsolute } from 'node:path';
import { writeFileAtomic } from '../../formats/atomic.ts';
import type { Recipe } from '../../trainer/recipe.ts';
import type { TrainRecord } from '../../trainer/record.ts';
import type { EvaluateResult } from '../evaluate/types.ts';
import { packageVersion } from '../provenance.ts';
import { shownLayers } from './progress-line.ts';

export const CARD_FILE = 'README.md';

/** A longer corpus is told by the number of its files. */
const MOST_FILES = 8;

export interface CardInput {
  readonly recipe: Recipe;
  readonly record: TrainRecord;
  /** Folder of the set. */
  readonly output: string;
  /** Tokens that each layer was trained on, and whether the corpus had fewer than were wanted. */
  readonly n_tokens: number;
  readonly endedEarly: boolean;
  readonly evaluation: EvaluateResult | null;
}

export async function writeCard(path: string, input: CardInput): Promise<void> {
  await writeFileAtomic(path, cardOf(input));
}

export function cardOf(input: CardInput): string {
  const { recipe, record, evaluation, n_tokens, endedEarly } = input;
  const { modelName, identity, context, corpus } = record;
  const rows: [string, string][] = [
    ['model', shownModel(modelName)],
    ['kind', recipe.kind],
    ['layers', layersText(recipe, record)],
    ['features a layer', String(recipe.d_transcoder)],
    ['activation', activationText(recipe)],
    ['skip connection', recipe.hasSkip ? 'yes' : 'no'],
    ['reads', recipe.feature_input_hook],
    ['writes', recipe.feature_output_hook],
    ['tokens', `${n_tokens}${endedEarly ? `, where the corpus ended; ${recipe.tokens} were wanted` : ''}`],
    ['context', String(context)],
    ['tokens a step', String(recipe.batchTokens)],
    ['optimiser', `${recipe.optimizer}, learning rate ${recipe.learningRate}`],
    ['warm-up and decay', `${recipe.warmup} and ${recipe.decay} of the tokens`],
    ['seed', String(recipe.seed)],
    ['corpus', corpus.length > MOST_FILES ? `${corpus.length} files` : corpus.join(', ')],
    ['fingerprint of the corpus', fingerprintOf(identity['corpus']!.split(','))],
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
    ...(evaluation
      ? measures(evaluation)
      : ['It was not evaluated. `tracer evaluate --corpus FILE` does it.']),
    '',
    '## Made by',
    '',
    '```sh',
    commandOf(input),
    '```',
    '',
  ];
  return lines.join('\n');
}

/** A card is read elsewhere: a path of this machine says nothing there. */
function shownModel(name: string): string {
  return isAbsolute(name) || name.startsWith('.') ? basename(name) : name;
}

/** That of the file, or a digest of those of all files in their order. */
function fingerprintOf(ofFiles: readonly string[]): string {
  const [first] = ofFiles;
  return ofFiles.length === 1 ? first! : createHash('sha256').update(ofFiles.join(',')).digest('hex');
}

/** Of a part also those of the whole set. */
function layersText({ layers }: Recipe, { layersOfSet }: TrainRecord): string {
  const own = shownLayers(layers);
  return layers.length === layersOfSet.length ? own : `${own}, of ${shownLayers(layersOfSet)}`;
}

function activationText({ activation, k, l0 }: Recipe): string {
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
function commandOf({ recipe, record, output }: CardInput): string {
  const { modelName, corpus, context, field, wholeFiles, packing, shuffle, epochs } = record;
  const flags: [string, string | number | true | undefined][] = [
    ['model', shownModel(modelName)],
    ['corpus', corpus.length > MOST_FILES ? 'FILES' : corpus.join(' ')],
    ['output', basename(output)],
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
    ['field', field],
    ['whole-files', wholeFiles || undefined],
    ['no-packing', packing === false || undefined],
    ['shuffle', shuffle],
    ['epochs', epochs],
  ];
  const given = flags.filter(([, value]) => value !== undefined);
  return `tracer train ${given.map(([name, value]) => (value === true ? `--${name}` : `--${name} ${value}`)).join(' ')}`;
}
