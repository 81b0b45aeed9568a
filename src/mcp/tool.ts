/** Mcp: what a tool is: a schema of its arguments, and one call of the engine whose result is made small. */
import * as v from 'valibot';
import type { CallOptions, Workspace } from './workspace.ts';

export interface ToolAnswer {
  /** Given to the agent. */
  readonly short: object;
  /** Written to a file whose path is given too, where it has more. */
  readonly full?: object;
}

export interface Tool {
  readonly name: string;
  readonly title: string;
  readonly description: string;
  readonly input: v.GenericSchema<unknown, Record<string, unknown>>;
  /** Whether it is there to write a file. */
  readonly writes?: true;
  readonly work: (args: unknown, workspace: Workspace, call: CallOptions) => Promise<ToolAnswer>;
}

/** Arguments reach `work` as the schema leaves them. */
export function defineTool<S extends v.GenericSchema<unknown, Record<string, unknown>>>(
  tool: Omit<Tool, 'input' | 'work'> & {
    readonly input: S;
    readonly work: (args: v.InferOutput<S>, workspace: Workspace, call: CallOptions) => Promise<ToolAnswer>;
  },
): Tool {
  return { ...tool, work: (args, workspace, call) => tool.work(args as v.InferOutput<S>, workspace, call) };
}

/** Longest list that an answer may be asked for: an agent reads it whole. */
const LONGEST_LIST = 100;

export function described<S extends v.GenericSchema>(schema: S, text: string) {
  return v.pipe(schema, v.description(text));
}

/** A number of entries, `usual` where it is not given. */
export function listLength(usual: number, text: string, least = 1) {
  const number = v.pipe(v.number(), v.integer(), v.minValue(least), v.maxValue(LONGEST_LIST));
  return v.optional(described(number, `${text} (default ${usual})`), usual);
}

export const wholeNumber = v.pipe(v.number(), v.integer(), v.minValue(0));
export const text = v.pipe(v.string(), v.minLength(1));
