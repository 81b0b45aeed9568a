/** Engine, verb `train`: what the bytes of a set depend on, so that a training is resumed under the same conditions alone. */
import * as v from 'valibot';
import type { Backend } from '../../backend/backend.ts';
import { parseJson } from '../../formats/json.ts';
import { CONFIG_FILE } from '../../model/checkpoint.ts';
import { identityIn, type TrainIdentity } from '../../trainer/checkpoint.ts';
import { checkpointFile } from '../../trainer/options.ts';
import type { TrainPlan } from '../../trainer/plan.ts';
import type { Recipe } from '../../trainer/recipe.ts';
import type { RowSource } from '../../trainer/rows.ts';
import type { OpenedSubject } from '../opened-subject.ts';
import { packageVersion, sourceReference } from '../provenance.ts';
import type { TrainCorpora } from './corpora.ts';
import { TRAIN_DEFAULTS, type TrainRequest } from './types.ts';

/** By names for error messages. */
export async function identityOf(
  {
    bos = 'auto',
    field,
    wholeFiles,
    heldOut,
    epochs = TRAIN_DEFAULTS.epochs,
    shuffle = TRAIN_DEFAULTS.shuffledRows,
  }: TrainRequest,
  parts: {
    readonly opened: OpenedSubject;
    readonly corpora: TrainCorpora;
    readonly recipe: Recipe;
    readonly plan: TrainPlan;
    readonly context: number;
    readonly backend: Backend;
    readonly rows: RowSource;
  },
): Promise<TrainIdentity> {
  const { opened, corpora, recipe, plan, context, backend, rows } = parts;
  const { name, revision, config_sha256 } = await sourceReference(opened.subject.model, [CONFIG_FILE]);
  return {
    tracer_version: packageVersion(),
    model: `${name} ${revision ?? config_sha256}`,
    corpus: (await Promise.all(corpora.all.map((corpus) => corpus.fingerprint()))).join(),
    held_out: heldOut?.join() ?? 'of the corpus',
    recipe: JSON.stringify(recipe),
    rows: JSON.stringify({ context, isPacked: rows.isPacked, bos, epochs, shuffle, field, wholeFiles }),
    passes: JSON.stringify(plan.passes),
    block_tokens: String(plan.blockTokens),
    backend: `${backend.name} on ${backend.device}`,
  };
}

/** How an interrupted training divides its layers: what fits may differ by the time that it is resumed. */
export async function planOfInterrupted(
  output: string,
): Promise<Pick<TrainPlan, 'passes' | 'blockTokens'> | null> {
  const path = checkpointFile(output);
  const identity = await identityIn(path);
  if (!identity) return null;
  const passes = parseJson(path, identity['passes'] ?? '', v.array(v.array(v.number())));
  return { passes, blockTokens: Number(identity['block_tokens']) };
}
