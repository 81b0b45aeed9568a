/** Viewer: `SLUG.attention.json` beside a graph, with the answers about its attention, so that a second look needs no model. */
import path from 'node:path';
import * as v from 'valibot';
import { NotFoundError } from '../errors.ts';
import { writeFileAtomic } from '../formats/atomic.ts';
import { looseJsonObject } from '../formats/json-object.ts';
import { readJson } from '../formats/json.ts';
import type { Schema } from '../formats/parsed-text.ts';
import type { AttentionAnswer, GraphEntry, HeadAnswer, KeptAttention, LinkAnswer } from './api.ts';
import { HeadSchema, HeadsSchema, LinkSchema, NodeSchema } from './attention-schema.ts';
import { refuseLink } from './regular-file.ts';

export const ATTENTION_ENDING = '.attention.json';
const FORMAT = 'tracer.attention-answers';
const FORMAT_VERSION = '1';
/** As errors call them. */
const WHAT = 'answers about attention';
/** A graph that is asked about. */
export interface AnsweredGraph extends Pick<GraphEntry, 'created_ms' | 'prompt'> {
  readonly attentionFile: string;
}

/** Of links, of nodes and of heads each; the oldest are dropped. */
const MOST_KEPT = 200;

export const NO_ATTENTION: KeptAttention = { links: [], nodes: [], heads: [], effects: null };

interface AnswersFile extends Omit<KeptAttention, 'nodes'> {
  /** Files of earlier versions lack it. */
  readonly nodes?: KeptAttention['nodes'];
  readonly created_ms: number | null;
  readonly prompt: string;
}

const FileSchema: Schema<AnswersFile> = looseJsonObject({
  format: v.literal(FORMAT),
  format_version: v.literal(FORMAT_VERSION),
  created_ms: v.nullable(v.number()),
  prompt: v.string(),
  links: v.array(LinkSchema),
  nodes: v.exactOptional(v.array(NodeSchema)),
  heads: v.array(HeadSchema),
  effects: v.nullable(HeadsSchema),
});

/** `SLUG.attention.json` beside the graph. */
export function attentionPath(graphFile: string): string {
  const { dir, name } = path.parse(graphFile);
  return path.join(dir, name + ATTENTION_ENDING);
}

/**
 * What has been answered about a graph. Answers about an earlier graph of the same name, which has another time of creation or
 * another prompt, do not count. Throws `BadFileError` for a damaged file, and for a symbolic link.
 */
export async function keptAttention({
  attentionFile,
  created_ms,
  prompt,
}: AnsweredGraph): Promise<KeptAttention> {
  await refuseLink(attentionFile, WHAT);
  try {
    const kept = await readJson(attentionFile, FileSchema);
    if (kept.created_ms !== created_ms || kept.prompt !== prompt) return NO_ATTENTION;
    const { links, nodes = [], heads, effects } = kept;
    return { links, nodes, heads, effects };
  } catch (error) {
    if (error instanceof NotFoundError) return NO_ATTENTION;
    throw error;
  }
}

/** Adds an answer to what is kept. For one caller at a time. The file appears complete or not at all. */
export async function keepAnswer(graph: AnsweredGraph, given: AttentionAnswer): Promise<void> {
  const { attentionFile, created_ms, prompt } = graph;
  const kept = withAnswer(await keptAttention(graph), given);
  const file = { format: FORMAT, format_version: FORMAT_VERSION, created_ms, prompt, ...kept };
  await writeFileAtomic(attentionFile, `${JSON.stringify(file)}\n`, { existing: 'replace link' });
}

/** An answer takes the place of an earlier one to the same question. */
export function withAnswer(kept: KeptAttention, given: AttentionAnswer): KeptAttention {
  switch (given.about) {
    case 'link': {
      const { answer } = given;
      const others = kept.links.filter((other) => linkKey(other) !== linkKey(answer));
      return { ...kept, links: [...others, answer].slice(-MOST_KEPT) };
    }
    case 'node': {
      const { answer } = given;
      const others = kept.nodes.filter(({ node }) => node.id !== answer.node.id);
      return { ...kept, nodes: [...others, answer].slice(-MOST_KEPT) };
    }
    case 'head': {
      const { answer } = given;
      const others = kept.heads
        .filter((other) => headKey(other) !== headKey(answer))
        .map((other) =>
          other.layer === answer.layer && other.head === answer.head ? withoutPattern(other) : other,
        );
      return { ...kept, heads: [...others, answer].slice(-MOST_KEPT) };
    }
    case 'heads':
      return { ...kept, effects: given.answer };
  }
}

function linkKey({ edges }: LinkAnswer): string {
  return edges.map(({ source, target }) => `${source.id} ${target.id}`).join();
}

function headKey({ layer, head, query, key, against }: HeadAnswer): string {
  return [layer, head, query.position, key.position, against].join();
}

function withoutPattern({ pattern_rows: _rows, ...answer }: HeadAnswer): HeadAnswer {
  return answer;
}
