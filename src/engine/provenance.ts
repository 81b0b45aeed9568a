/** Engine: provenance of a graph: everything that is needed to compute it again. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import type { TargetChoice } from '../attribution/targets.ts';
import type { JsonValue, Provenance, SourceReference } from '../graph/graph.ts';
import { CONFIG_FILE } from '../model/checkpoint.ts';
import { chatResult, type ReadInput } from './chat.ts';
import { ATTRIBUTE_DEFAULTS, type GraphOptions } from './attribute/types.ts';
import { USUAL_PROMPT } from '../tokenizer/bos.ts';
import type { NamedFiles } from './named-files.ts';
import type { Session } from './session.ts';

export async function graphProvenance(
  session: Session,
  { input, tokens }: { readonly input: ReadInput; readonly tokens: readonly number[] },
  logitLabels: readonly string[],
  targets: TargetChoice,
  options: GraphOptions,
): Promise<Provenance> {
  const { tokenizer, subject, replacement, description, weightFiles } = session;
  const { n_ignored } = session.prompts.rule;
  return {
    tracer_version: packageVersion(),
    model: { ...(await sourceReference(subject.model, [CONFIG_FILE])), weight_files: weightFiles.model },
    transcoders: {
      ...(await sourceReference(subject.transcoders, subject.transcoders.config.configFiles)),
      weight_files: weightFiles.transcoders,
    },
    backend: description.backend,
    device: description.device,
    dtype: description.dtype,
    options: {
      ...recordedOptions(targets, options),
      ...recordedChat(input),
      ...(description.bos !== undefined && { bos: description.bos }),
      ...(n_ignored !== USUAL_PROMPT.n_ignored && { ignored_positions: n_ignored }),
    },
    prompt: tokenizer.decode(tokens),
    token_strings: tokenizer.tokenStrings(tokens),
    logit_labels: logitLabels,
    vocabulary_size: replacement.model.config.d_vocab,
    scan: options.scan ?? session.scan,
    created: new Date().toISOString(),
  };
}

/** The version of this package. */
export function packageVersion(): string {
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}

/** Options by their flag names with underscores; vectors of custom directions are left out. */
function recordedOptions(targets: TargetChoice, options: GraphOptions): Record<string, JsonValue> {
  return {
    batch_size: options.batchSize ?? ATTRIBUTE_DEFAULTS.batchSize,
    update_interval: options.updateInterval ?? ATTRIBUTE_DEFAULTS.updateInterval,
    max_feature_nodes: options.maxFeatureNodes ?? ATTRIBUTE_DEFAULTS.maxFeatureNodes,
    selection: options.selection ?? ATTRIBUTE_DEFAULTS.selection,
    target_position: options.targetPosition ?? null,
    ...recordedTargets(targets),
  };
}

/** Absent without a chat template, as in graphs of earlier versions. */
function recordedChat(input: ReadInput): Record<string, JsonValue> {
  const { chat } = chatResult(input);
  return chat ? { chat: true, system: chat.system } : {};
}

function recordedTargets(targets: TargetChoice): Record<string, JsonValue> {
  switch (targets.kind) {
    case 'most_likely':
      return { max_n_logits: targets.maxLogits, desired_logit_prob: targets.desiredProbability };
    case 'tokens':
      return { target_tokens: targets.ids };
    case 'strings':
      return { target_strings: targets.texts };
    case 'difference':
      return { target_difference: [targets.plus, targets.minus] };
    case 'custom':
      return { targets: targets.directions.map(({ label }) => label) };
  }
}

/** A commit for what comes from the Hub, the hash of the configuration files, one after the other, for a local folder. */
export async function sourceReference(
  { source, files }: NamedFiles,
  configFiles: readonly string[],
): Promise<SourceReference> {
  const name = source.repository ?? source.name;
  if (source.commit !== undefined) return { name, revision: source.commit, config_sha256: null };
  // Without a configuration only the name tells one from another.
  if (configFiles.length === 0) return { name, revision: null, config_sha256: null };
  const hash = createHash('sha256');
  for (const file of configFiles) {
    using config = await files.open(file);
    const bytes = new Uint8Array(config.size);
    await config.read(0, bytes);
    hash.update(bytes);
  }
  return { name, revision: null, config_sha256: hash.digest('hex') };
}
