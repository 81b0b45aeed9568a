/** Engine, `graph validate` of a circuit: the prompts that it was not found in, from the graphs of a study or from a list. */
import { stat } from 'node:fs/promises';
import path from 'node:path';
import { BadFileError, UsageError, type TracerError } from '../../errors.ts';
import type { Graph } from '../../graph/graph.ts';
import { predictedChange } from '../../study/ablation.ts';
import { readKeyed, type KeyedGraph } from '../../study/aligned.ts';
import { DESCRIPTION_FILE, subjectOf } from '../../study/description.ts';
import type { Study } from '../../study/open.ts';
import { graphsOfGroup, selectGraphs, type SelectedGraph } from '../../study/selection.ts';
import { readPromptList } from '../attribute/prompt-list.ts';
import { usedTest, type Consensus } from '../study/consensus.ts';
import { plural } from '../../plural.ts';

/** Graphs that are read together; each is a few hundred rows. */
const BATCH_GRAPHS = 64;
/** An interval needs that many, and says little before there are many more. */
const LEAST_PROMPTS = 2;

/** A prompt of a study, with what its graph has and says. */
export interface GraphPrompt {
  readonly slug: string;
  readonly prompt: string;
  readonly tokens: readonly number[];
  /** The most likely explained token. */
  readonly answer: number;
  /** Change of its logit that the graph predicts without the circuit. */
  readonly predicted: number;
}

/** Of a list. */
export interface ListedPrompt {
  readonly slug: string;
  readonly line: number;
  readonly prompt: string;
}

/** A line that cannot be used. */
export interface BadLine {
  readonly line: number;
  readonly slug: string | null;
  readonly error: TracerError;
}

/**
 * The graphs of the selection that a circuit was found in, without those that were used. Throws `UsageError` for a study of another
 * model or set, and where fewer than two are left.
 */
export async function unusedGraphs(
  study: Study,
  graph: Graph,
  consensus: Consensus,
  signal: AbortSignal | undefined,
): Promise<SelectedGraph[]> {
  const { model, transcoders } = study.description;
  const own = subjectOf(graph.provenance);
  if (JSON.stringify(own) !== JSON.stringify({ model, transcoders })) {
    throw new UsageError({
      code: 'different_sets',
      message: `the circuit was found with ${own.model.name} and ${own.transcoders.name}, the study with ${model.name} and ${transcoders.name}, or with other versions of them`,
      hint: 'Name the study that the circuit was found in.',
    });
  }
  const { by, group, where } = consensus;
  const selection = { by: by ?? undefined, where: where ?? undefined, signal };
  const selected = await selectGraphs(study, selection);
  const ofGroup = group === null || by === null ? selected : graphsOfGroup(selected, by, group);
  const isUsed = usedTest(consensus);
  return enough(
    ofGroup.filter((one) => !isUsed(one)),
    study.folder,
    'Find it in a part of them: `tracer graph circuit STUDY --holdout 0.5 --output FILE`.',
  );
}

/** The prompts of these graphs, read in batches. */
export async function* promptsOfGraphs(
  study: Study,
  graphs: readonly SelectedGraph[],
  { align, keys }: Consensus,
): AsyncGenerator<GraphPrompt> {
  for (let start = 0; start < graphs.length; start += BATCH_GRAPHS) {
    const batch = graphs.slice(start, start + BATCH_GRAPHS);
    const read = await readKeyed(
      study,
      batch.map(({ graph }) => graph),
      align,
    );
    for (const [i, { slug, prompt }] of batch.entries()) {
      const { nodes } = read[i]!;
      const answer = nodes.find(({ kind }) => kind === 'logit');
      if (answer === undefined) throw withoutAnswer(study.folder, slug);
      yield {
        ...{ slug, prompt, tokens: tokensOf(read[i]!), answer: answer.token_id },
        predicted: predictedChange(read[i]!, (key) => keys.has(key)),
      };
    }
  }
}

/** Pruning leaves all tokens, in the order of their positions. */
function tokensOf({ nodes }: KeyedGraph): number[] {
  return nodes.filter(({ kind }) => kind === 'token').map(({ token_id }) => token_id);
}

/** The prompts of a list that a circuit was not found in, and lines that cannot be used. Errors as `readPromptList`. */
export async function unusedLines(
  file: string,
  consensus: Consensus,
): Promise<{ prompts: readonly ListedPrompt[]; bad: readonly BadLine[] }> {
  const isUsed = usedTest(consensus);
  const prompts: ListedPrompt[] = [];
  const bad: BadLine[] = [];
  for (const row of await readPromptList(file)) {
    if ('error' in row) bad.push(row);
    else if (!isUsed(row)) prompts.push(row);
  }
  const hint =
    bad.length === 0
      ? 'Name a list with other prompts.'
      : 'Mend these lines, or name a list with other prompts.';
  return { prompts: enough(prompts, file, hint, bad), bad };
}

/** Throws `UsageError` for the folder of a study in place of a graph file. */
export async function refuseStudy(file: string): Promise<void> {
  const found = await stat(path.join(file, DESCRIPTION_FILE)).catch(() => undefined);
  if (found?.isFile() !== true) return;
  throw new UsageError({
    code: 'study_for_graph',
    message: `${file} is a study; a circuit of it is validated, or a single graph`,
    hint: `\`tracer graph circuit ${file} --holdout 0.5 --output CIRCUIT\` finds one, \`tracer graph validate CIRCUIT --study ${file}\` tries it.`,
  });
}

function enough<T>(prompts: T[], where: string, hint: string, bad: readonly BadLine[] = []): T[] {
  if (prompts.length >= LEAST_PROMPTS) return prompts;
  const unusable =
    bad.length === 0 ? '' : `; ${plural(bad.length, 'line')} cannot be used: ${bad[0]!.error.message}`;
  throw new UsageError({
    code: 'too_few_prompts',
    message: `of the prompts in ${where} that the circuit is about, ${prompts.length === 0 ? 'none' : 'only one'} was not used to find it; at least ${LEAST_PROMPTS} are needed${unusable}`,
    hint,
  });
}

function withoutAnswer(folder: string, slug: string): BadFileError {
  return new BadFileError({
    code: 'bad_study',
    message: `the graph ${slug} in ${folder} has no answer`,
    hint: 'Collect the graphs again.',
  });
}
