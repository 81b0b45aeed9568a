/** Engine, verb `evaluate`: where the state of an evaluation lies, so that it can be resumed. */
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { UsageError } from '../../errors.ts';
import { EvaluationState } from '../../evaluation/state.ts';
import type { Corpus } from '../../features/corpus.ts';
import { checkWritable } from '../../formats/atomic.ts';
import { userFolder } from '../../formats/user-folders.ts';
import { identityOf } from '../session-identity.ts';
import type { Session } from '../session.ts';
import type { EvaluateRequest } from './types.ts';

const STATE_NAME_LENGTH = 32;

/** A state with the same name is of the same evaluation, unless the file was named by the user. */
export async function openState(
  session: Session,
  request: EvaluateRequest,
  { corpora, context, alone }: { corpora: readonly Corpus[]; context: number; alone: readonly number[] },
): Promise<EvaluationState> {
  const { model, transcoders } = session.replacement;
  const identity = {
    ...(await identityOf(session)),
    corpus: (await Promise.all(corpora.map((corpus) => corpus.fingerprint()))).join(),
    tokens: request.tokens === undefined ? 'all' : String(request.tokens),
    context: String(context),
    layers: alone.join(),
  };
  const shape = {
    d_model: model.config.d_model,
    layers: transcoders.layers.map(({ layer, d_transcoder }) => ({ layer, d_transcoder })),
  };
  const state = new EvaluationState(
    request.state ?? (await writable(defaultPath(identity), request)),
    shape,
    identity,
  );
  if (request.state !== undefined) await checkWritable(request.state);
  if (!state.exists) return state;
  if (request.resume) await state.read();
  else if (request.state !== undefined) {
    throw new UsageError({
      code: 'evaluation_interrupted',
      message: `${request.state} holds the state of an evaluation that was interrupted`,
      hint: '--resume continues with it; remove that file to begin anew.',
    });
  } else {
    const message =
      'An evaluation with the same options was interrupted; it begins anew. --resume would have continued it.';
    request.onProgress?.({ kind: 'note', message });
  }
  return state;
}

function defaultPath(identity: Readonly<Record<string, string>>): string {
  const name = createHash('sha256')
    .update(JSON.stringify(identity))
    .digest('hex')
    .slice(0, STATE_NAME_LENGTH);
  return join(userFolder('cache'), 'evaluations', `${name}.safetensors`);
}

/** Without a cache folder an evaluation works, but cannot be resumed. */
async function writable(path: string, { onProgress }: EvaluateRequest): Promise<string | null> {
  try {
    await checkWritable(path);
    return path;
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    onProgress?.({
      kind: 'warning',
      message: `The evaluation cannot be resumed after an interruption: ${why}`,
    });
    return null;
  }
}
