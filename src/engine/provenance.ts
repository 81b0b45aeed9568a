/** Engine: provenance of a graph: everything that is needed to compute it again. */
import { readFileSync } from 'node:fs';
import type { TargetChoice } from '../attribution/targets.ts';
import type { Provenance } from '../graph/graph.ts';
import type { GraphOptions } from './attribute/types.ts';
import { graphOrigin, type TracedInput } from './origin.ts';
import type { Session } from './session.ts';

export async function graphProvenance(
  session: Session,
  traced: TracedInput,
  logitLabels: readonly string[],
  targets: TargetChoice,
  options: GraphOptions,
): Promise<Provenance> {
  const { tokenizer, replacement, backend } = session;
  const { model, transcoders, dtype, ...origin } = await graphOrigin(session, traced, targets, options);
  return {
    tracer_version: packageVersion(),
    model,
    transcoders,
    backend: backend.name,
    device: backend.device,
    dtype,
    options: origin.options,
    prompt: origin.prompt,
    token_strings: tokenizer.tokenStrings(traced.tokens),
    logit_labels: logitLabels,
    vocabulary_size: replacement.model.config.d_vocab,
    scan: origin.scan,
    created: new Date().toISOString(),
  };
}

/** The version of this package. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
