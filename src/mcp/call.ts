/** Mcp: one call of a tool: warnings are collected, the answer is made short, and an error becomes an answer that says so. */
import type { CallToolResult } from '@modelcontextprotocol/server';
import { errorBody } from '../viewer/http-errors.ts';
import type { Tool } from './tool.ts';
import type { CallOptions, Workspace } from './workspace.ts';

/** Digits of numbers in an answer; the file has all. */
const SIGNIFICANT_DIGITS = 4;

/** Throws nothing but the signal's reason. */
export async function callTool(
  tool: Tool,
  args: unknown,
  workspace: Workspace,
  { signal, onProgress }: CallOptions,
): Promise<CallToolResult> {
  const warnings: string[] = [];
  try {
    const answer = await tool.work(args, workspace, {
      signal,
      onProgress: (event) => {
        if (event.kind === 'warning') warnings.push(event.message);
        onProgress(event);
      },
    });
    signal.throwIfAborted();
    const content = {
      ...answer.short,
      ...(warnings.length > 0 && { warnings }),
      ...(answer.full && { result_file: await workspace.keepResult(tool.name, answer.full, signal) }),
    };
    return answerOf(JSON.parse(JSON.stringify(content, rounded)) as Record<string, unknown>);
  } catch (error) {
    signal.throwIfAborted();
    return { ...answerOf({ error: errorBody(error) }), isError: true };
  }
}

/** As data, and as text for clients that show nothing else. */
function answerOf(content: Record<string, unknown>): CallToolResult {
  return { content: [{ type: 'text', text: JSON.stringify(content) }], structuredContent: content };
}

function rounded(_key: string, value: unknown): unknown {
  return typeof value === 'number' && !Number.isInteger(value)
    ? Number(value.toPrecision(SIGNIFICANT_DIGITS))
    : value;
}
