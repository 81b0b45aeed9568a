/** Mcp, tools: arguments and fields that several have. */
import * as v from 'valibot';
import { openLabels } from '../../engine/attribute/attribute.ts';
import { openFeatureSource } from '../../engine/features/source.ts';
import type { PromptInput } from '../../engine/request.ts';
import type { Session } from '../../engine/session.ts';
import type { Graph } from '../../graph/graph.ts';
import type { NodeResult } from '../../graph/nodes.ts';
import { described, text } from '../tool.ts';
import type { Workspace } from '../workspace.ts';

export const promptArguments = {
  prompt: described(text, 'Text that the model continues'),
  chat: v.optional(described(v.boolean(), 'Put it into the chat template of the model')),
};

export const graphArgument = described(
  text,
  'Name of a graph that `attribute` answered, or path of a graph file',
);

export function inputOf({
  prompt,
  chat,
}: {
  readonly prompt: string;
  readonly chat?: boolean | undefined;
}): PromptInput {
  return { prompt, ...(chat && { chat: {} }) };
}

interface Placed {
  readonly layer: number;
  readonly feature: number;
}

/** The same with the labels that there are on this machine. */
export async function labelled<T extends Placed>(
  session: Session,
  features: readonly T[],
): Promise<(T & { label?: string })[]> {
  const source = await openLabels(session, {});
  const labels = await source.labels(features.map(({ layer, feature }) => [layer, feature]));
  return features.map((one) => withLabel(one, labels[`${one.layer}_${one.feature}`]));
}

/** Labels of the features among the nodes of a graph, by `LAYER_FEATURE`, without the model. */
export async function labelsOfNodes(
  { common }: Workspace,
  { provenance }: Graph,
  nodes: readonly NodeResult[],
): Promise<Readonly<Record<string, string>>> {
  const source = await openFeatureSource({
    ...common,
    scan: provenance.scan,
    set: provenance.transcoders,
    scanLeadsTo: 'presets',
  });
  const places = nodes.flatMap(({ layer, feature }) =>
    layer === null || feature === null ? [] : [[layer, feature] as const],
  );
  return await source.labels(places);
}

/** What an agent needs of a node. */
export function shortNode(node: NodeResult, labels: Readonly<Record<string, string>>): object {
  const { id, kind, layer, position, feature, token, activation, probability, influence } = node;
  const label = feature === null ? undefined : labels[`${layer}_${feature}`];
  const fields = { layer, feature, activation, probability };
  const known = Object.fromEntries(Object.entries(fields).filter(([, value]) => value !== null));
  return withLabel({ id, kind, position, token, ...known, influence }, label);
}

function withLabel<T extends object>(one: T, label: string | undefined): T & { label?: string } {
  return { ...one, ...(label !== undefined && { label }) };
}
