/** Engine, studies: what the file of a circuit says of itself: its features at their places, and the graphs that it was found in. */
import { createHash } from 'node:crypto';
import * as v from 'valibot';
import { BadFileError, UsageError } from '../../errors.ts';
import { jsonObject } from '../../formats/json-object.ts';
import { checkSchema } from '../../formats/parsed-text.ts';
import { featureOf, type Graph } from '../../graph/graph.ts';
import { featureKey } from '../../study/aligned.ts';

const ConsensusSchema = jsonObject({
  align: v.picklist(['end', 'start']),
  by: v.nullable(v.string()),
  group: v.nullable(v.string()),
  where: v.nullable(v.string()),
  found_in: v.array(jsonObject({ slug: v.string(), prompt_sha256: v.string() })),
});

export interface PlacedFeature {
  readonly layer: number;
  readonly feature: number;
  /** From the end -1, -2, …; from the start 0, 1, … */
  readonly place: number;
}

export interface Consensus extends v.InferOutput<typeof ConsensusSchema> {
  readonly features: readonly PlacedFeature[];
  /** As nodes of graphs of the study have them. */
  readonly keys: ReadonlySet<string>;
}

/** Of a prompt's text: two graphs of one text are the same prompt, whatever they are called. */
export function promptDigest(prompt: string): string {
  return createHash('sha256').update(prompt).digest('hex');
}

/** Throws `UsageError` for a graph of one prompt, and for a circuit of an earlier version, which does not say what it was found in. */
export function readConsensus(file: string, graph: Graph): Consensus {
  const { consensus } = graph.provenance.options;
  if (consensus === undefined) {
    throw new UsageError({
      code: 'no_circuit',
      message: `${file} is the graph of one prompt, and no circuit of many`,
      hint: 'Make one with `tracer graph circuit STUDY --holdout 0.5 --output FILE`; a graph of one prompt is validated without --study and --prompts.',
    });
  }
  if (typeof consensus !== 'object' || consensus === null || !('found_in' in consensus)) {
    throw new BadFileError({
      code: 'circuit_without_graphs',
      message: `${file} does not say in which graphs it was found, so that prompts that were not used cannot be told`,
      hint: 'Make it again with `tracer graph circuit`.',
    });
  }
  const described = checkSchema(`${file}, options.consensus`, consensus, ConsensusSchema);
  const { n_features, n_pos } = graph.layout;
  const features = Array.from({ length: n_features }, (_, i): PlacedFeature => {
    const { layer, position, feature } = featureOf(graph, i);
    return { layer, feature, place: described.align === 'end' ? position - n_pos : position };
  });
  return { ...described, features, keys: new Set(features.map(featureKey)) };
}

/** Whether a prompt was used to find a circuit. */
export function usedTest({ found_in }: Consensus): (prompt: { slug: string; prompt: string }) => boolean {
  const slugs = new Set(found_in.map(({ slug }) => slug));
  const digests = new Set(found_in.map(({ prompt_sha256 }) => prompt_sha256));
  return ({ slug, prompt }) => slugs.has(slug) || digests.has(promptDigest(prompt));
}
