/** Mcp, tool `run`: one pass, the most likely next tokens and the strongest features. */
import { runIn } from '../../engine/run/run.ts';
import { strictJsonObject } from '../../formats/json-object.ts';
import { defineTool, listLength } from '../tool.ts';
import { inputOf, labelled, promptArguments } from './shared.ts';

export const run = defineTool({
  name: 'run',
  title: 'Run a prompt',
  description:
    'Runs a prompt through the model. Answers its tokens (positions count from 0), the most likely next tokens, and the strongest features at each token.',
  input: strictJsonObject({
    ...promptArguments,
    top: listLength(5, 'Most likely next tokens'),
    features: listLength(2, 'Strongest features of each token; 0: none', 0),
  }),
  work: async (args, workspace, call) =>
    await workspace.withModel(call, async (session) => {
      const result = await runIn(session, {
        ...call,
        input: inputOf(args),
        top: args.top,
        ...(args.features > 0 && { features: args.features }),
      });
      return {
        short: {
          tokens: result.tokens.map(({ text }) => text),
          top: result.top,
          ...(result.features && { features: await labelled(session, result.features) }),
        },
        full: result,
      };
    }),
});
