/** `tracer train --model M --corpus FILE --output DIR`: a transcoder set for any model. */
import { Option, type Command } from 'commander';
import type { TrainRequest } from '../../engine/train/types.ts';
import { TRAIN_DEFAULTS } from '../../engine/train/types.ts';
import { RECIPE_DEFAULTS, TRAIN_ACTIVATIONS, TRAIN_KINDS, TRAIN_OPTIMIZERS } from '../../trainer/recipe.ts';
import { perform } from '../perform.ts';
import { withBosFlag } from '../prompt.ts';
import { serveTraining } from '../serve-training.ts';
import { refuseServeFlags, withServeFlags, type ServerFlags } from '../serving.ts';
import { shard, SHARD_FLAG, SHARD_HELP } from '../shard.ts';
import type { Shell } from '../shell.ts';
import { UsageError } from '../../errors.ts';
import { addTrainMerge } from './train-merge.ts';
import { layerList, nonNegative, outputName, probability, wholeNumber } from '../values.ts';

interface TrainFlags
  extends Omit<TrainRequest, 'learningRate' | 'packing' | 'corpus' | 'output'>, ServerFlags {
  readonly corpus?: readonly string[];
  readonly output?: string;
  readonly lr?: number;
  /** False with --no-packing. */
  readonly packing: boolean;
  readonly serve?: boolean;
}

/** Not required for commander: `train merge` has neither, and it would ask for them there too. */
const CORPUS_FLAG = '--corpus <file...>';
const OUTPUT_FLAG = '--output <folder>';

const HELP = `
--dtype is the type of the matrices that are written; arithmetic is float32.

Examples:
  $ tracer train --model smollm2-135m --corpus documents.jsonl --layers 10 --features 4096 --tokens 1000000 --output ./set
  $ tracer train --model ./my-model --corpus *.md --whole-files --activation jumprelu --l0 32 --output ./set
  $ tracer train --model ./my-model --corpus documents.jsonl --kind cross-layer --output ./set --resume
  $ tracer train --model ./my-model --corpus documents.jsonl --shard 1/4 --output ./parts/1`;

export function addTrain(program: Command, shell: Shell): void {
  const train = program.command('train').description('train a transcoder set for a model');
  train.addHelpText('after', HELP);
  const command = withBosFlag(train)
    .option(
      CORPUS_FLAG,
      'text with one document a line, JSON Lines with "text" or "tokens" (FILE.jsonl), Parquet (FILE.parquet), hf://datasets/owner/name[/path]; - for standard input',
    )
    .option(OUTPUT_FLAG, 'where the set is written', outputName('--output'))
    .option('--field <name>', 'field of JSON Lines, or column of Parquet, with the text (default: text)')
    .option('--whole-files', 'text files are one document each')
    .option('--held-out <file...>', 'documents to evaluate on (default: every twentieth of the corpus)')
    .option(
      '--layers <list>',
      'layers to train, such as 0-5,9 (default: all of the model)',
      layerList('--layers'),
    )
    .option(SHARD_FLAG, `train a part of these layers: ${SHARD_HELP}`, shard(shell.host.env))
    .addOption(
      new Option('--kind <kind>', `what features write into (default: ${RECIPE_DEFAULTS.kind})`).choices(
        TRAIN_KINDS,
      ),
    )
    .addOption(
      new Option(
        '--activation <name>',
        `how active features are chosen (default: ${RECIPE_DEFAULTS.activation})`,
      ).choices(TRAIN_ACTIVATIONS),
    )
    .option(
      '--k <n>',
      `features that TopK keeps a token, and BatchTopK on average (default: ${RECIPE_DEFAULTS.k})`,
      wholeNumber('--k', 1),
    )
    .option(
      '--l0 <n>',
      'active features a token that JumpReLU and ReLU are steered to (default: as --k)',
      nonNegative('--l0'),
    )
    .option('--skip', 'a linear map from inputs to outputs beside the features')
    .option('--features <n>', 'features a layer', wholeNumber('--features', 1))
    .option(
      '--expansion <n>',
      `features a layer, as a multiple of the model's width (default: ${RECIPE_DEFAULTS.expansion})`,
      nonNegative('--expansion'),
    )
    .option('--input-hook <site>', "what features read (default: as published sets of the model's family)")
    .option('--output-hook <site>', 'what features write (default: the same)')
    .option('--tokens <n>', 'tokens to train on (default: all of the corpus)', wholeNumber('--tokens', 1))
    .option(
      '--context <n>',
      `tokens that the model reads together (default: ${TRAIN_DEFAULTS.context})`,
      wholeNumber('--context', 2),
    )
    .option(
      '--batch-tokens <n>',
      `tokens a step (default: ${RECIPE_DEFAULTS.batchTokens})`,
      wholeNumber('--batch-tokens', 1),
    )
    .option('--no-packing', 'each document begins a context of its own')
    .option(
      '--shuffle <rows>',
      `contexts that are shuffled together; 0: in the order of the corpus (default: ${TRAIN_DEFAULTS.shuffledRows})`,
      wholeNumber('--shuffle', 0),
    )
    .option('--epochs <n>', 'times that the corpus is read (default: 1)', wholeNumber('--epochs', 1))
    .addOption(
      new Option('--optimizer <name>', `(default: ${RECIPE_DEFAULTS.optimizer})`).choices(TRAIN_OPTIMIZERS),
    )
    .option('--lr <x>', 'highest learning rate (default: from the number of features)', nonNegative('--lr'))
    .option(
      '--warmup <share>',
      `share of the tokens in which the rate rises (default: ${RECIPE_DEFAULTS.warmup})`,
      probability('--warmup'),
    )
    .option(
      '--decay <share>',
      `share of the tokens in which it falls to 0 (default: ${RECIPE_DEFAULTS.decay})`,
      probability('--decay'),
    )
    .option('--seed <n>', 'seed of first values and orders (default: 0)', wholeNumber('--seed', 0))
    .option(
      '--evaluate-every <tokens>',
      'tokens between two measurements on held-out documents',
      wholeNumber('--evaluate-every', 1),
    )
    .option('--no-evaluate', 'without the table of `tracer evaluate` at the end')
    .option(
      '--checkpoint-every <minutes>',
      `minutes between two checkpoints (default: ${TRAIN_DEFAULTS.checkpointMinutes})`,
      nonNegative('--checkpoint-every'),
    )
    .option(
      '--store <folder>',
      'keep activations on disk: the model runs once, whatever passes and epochs follow',
    )
    .option('--resume', 'continue a training that was interrupted, or begin where there is none')
    .option('--serve', 'show curves in the browser while it runs, as `tracer serve` does');
  withServeFlags(command);
  addTrainMerge(train, shell);
  command.action(({ lr, ...flags }: TrainFlags) =>
    perform(shell, command, async (context) => {
      const { common } = context;
      if (!flags.serve) refuseServeFlags(flags);
      const { corpus: names = missing(CORPUS_FLAG), output = missing(OUTPUT_FLAG) } = flags;
      const [{ train }, { trainView }, { withCorpusFiles }] = await Promise.all([
        import('../../engine/train/train.ts'),
        import('../../report/train-view.ts'),
        import('../corpus.ts'),
      ]);
      let served: AsyncDisposable | null = null;
      const onBegin = async (): Promise<void> => {
        if (flags.serve) served = await serveTraining(output, flags, context);
      };
      const found = await withCorpusFiles(names, shell.host.stdin, shell.signal, (corpus) =>
        train({ ...common, ...flags, corpus, output, learningRate: lr, onBegin }),
      ).finally(() => served?.[Symbol.asyncDispose]());
      const result = { ...found, corpus: names };
      return { data: result, view: (screen) => trainView(result, screen) };
    }),
  );
}

/** Throws as commander does for a required option. */
function missing(flag: string): never {
  throw new UsageError({
    code: 'missing_mandatory_option_value',
    message: `required option '${flag}' not specified`,
    hint: 'See `tracer train --help`.',
  });
}
