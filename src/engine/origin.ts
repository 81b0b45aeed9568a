/** Engine: the origin of a graph: what is known of it before anything is computed. Where it is the same, so is the graph. */
import { createHash } from 'node:crypto';
import type { TargetChoice } from '../attribution/targets.ts';
import type { Arithmetic } from '../backend/backend.ts';
import type { JsonValue, Provenance, SourceReference } from '../graph/graph.ts';
import { CONFIG_FILE } from '../model/checkpoint.ts';
import { USUAL_PROMPT } from '../tokenizer/bos.ts';
import { ATTRIBUTE_DEFAULTS, pruningOf, type GraphOptions } from './attribute/types.ts';
import { chatResult, type ReadInput } from './chat.ts';
import type { NamedFiles } from './named-files.ts';
import type { Subject } from './names.ts';
import type { PromptReader } from './prompt-reader.ts';

/** The files that weights are read from, inside their folders or repositories. */
export interface WeightFiles {
  readonly model: string[];
  readonly transcoders: string[];
}

/** What graphs come from: a session, loaded or not. */
export interface OriginSource {
  readonly subject: Subject;
  readonly prompts: PromptReader;
  readonly weightFiles: WeightFiles;
  readonly scan: string;
  readonly dtype: Arithmetic;
}

/** A prompt as it was given, and the tokens that are traced. */
export interface TracedInput {
  readonly input: ReadInput;
  readonly tokens: readonly number[];
}

/** The part of a graph's provenance that is known before anything is computed: where it is the same, so is the graph. */
export type GraphOrigin = Pick<Provenance, 'model' | 'transcoders' | 'dtype' | 'options' | 'prompt' | 'scan'>;

export async function graphOrigin(
  { subject, prompts, weightFiles, scan, dtype }: OriginSource,
  { input, tokens }: TracedInput,
  targets: TargetChoice,
  options: GraphOptions,
): Promise<GraphOrigin> {
  const { n_ignored } = prompts.rule;
  return {
    model: { ...(await sourceReference(subject.model, [CONFIG_FILE])), weight_files: weightFiles.model },
    transcoders: {
      ...(await sourceReference(subject.transcoders, subject.transcoders.config.configFiles)),
      weight_files: weightFiles.transcoders,
    },
    dtype,
    options: {
      ...recordedOptions(targets, options),
      ...recordedChat(input),
      ...(prompts.bos !== 'auto' && { bos: prompts.bos }),
      ...(n_ignored !== USUAL_PROMPT.n_ignored && { ignored_positions: n_ignored }),
    },
    prompt: prompts.tokenizer.decode(tokens),
    scan: options.scan ?? scan,
  };
}

/** Options by their flag names with underscores; vectors of custom directions are left out. */
function recordedOptions(targets: TargetChoice, options: GraphOptions): Record<string, JsonValue> {
  return {
    batch_size: options.batchSize ?? ATTRIBUTE_DEFAULTS.batchSize,
    update_interval: options.updateInterval ?? ATTRIBUTE_DEFAULTS.updateInterval,
    max_feature_nodes: options.maxFeatureNodes ?? ATTRIBUTE_DEFAULTS.maxFeatureNodes,
    selection: options.selection ?? ATTRIBUTE_DEFAULTS.selection,
    ...recordedStore(options),
    target_position: options.targetPosition ?? null,
    ...recordedTargets(targets),
  };
}

/** Absent where a graph is kept whole, as in graphs of earlier versions; the thresholds otherwise do not touch the graph file. */
function recordedStore(options: GraphOptions): Record<string, JsonValue> {
  if ((options.store ?? ATTRIBUTE_DEFAULTS.store) === 'full') return {};
  const { nodeThreshold, edgeThreshold } = pruningOf(options);
  return { store: 'nodes', node_threshold: nodeThreshold, edge_threshold: edgeThreshold };
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

/** Kept, since every graph of a list of prompts names them. */
const references = new WeakMap<NamedFiles, Promise<SourceReference>>();

/** A commit for what comes from the Hub, the hash of the configuration files, one after the other, for a local folder. */
export function sourceReference(part: NamedFiles, configFiles: readonly string[]): Promise<SourceReference> {
  const found = references.get(part) ?? makeReference(part, configFiles);
  references.set(part, found);
  return found;
}

async function makeReference(
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
