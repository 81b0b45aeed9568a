/** Mcp, tool `attribute`: traces a prompt; the graph becomes a file, the answer is its summary. */
import path from 'node:path';
import * as v from 'valibot';
import { attributeIn } from '../../engine/attribute/attribute.ts';
import { strictJsonObject } from '../../formats/json-object.ts';
import { slugFileName, slugOfPrompt } from '../../graph/slug.ts';
import { defineTool, described, text, wholeNumber } from '../tool.ts';
import { inputOf, promptArguments } from './shared.ts';

export const attribute = defineTool({
  name: 'attribute',
  title: 'Trace a prompt',
  description:
    'Computes the attribution graph of a prompt: which tokens and features caused the most likely next tokens. Writes a graph file and answers its name for the other tools, the explained tokens, scores and the most influential features.',
  writes: true,
  input: strictJsonObject({
    ...promptArguments,
    name: v.optional(described(text, 'Name of the graph (default: made from the prompt)')),
    targets: v.optional(
      described(
        v.pipe(v.array(text), v.minLength(1)),
        'Next tokens to explain, spaces count, such as " Austin"',
      ),
    ),
    max_feature_nodes: v.optional(
      described(wholeNumber, 'Features in the graph at most; 0: no limit (default 7500)'),
    ),
  }),
  work: async (args, workspace, call) =>
    await workspace.withModel(call, async (session) => {
      const slug = slugFileName(args.name ?? slugOfPrompt(args.prompt));
      const result = await attributeIn(session, {
        ...call,
        input: inputOf(args),
        ...(args.targets && { targets: { kind: 'strings', texts: args.targets } }),
        maxFeatureNodes: args.max_feature_nodes,
        output: path.join(workspace.folder, `${slug}.safetensors`),
        keepExisting: true,
      });
      const [file] = result.files;
      return {
        short: {
          graph: path.parse(file!.path).name,
          file: file!.path,
          n_nodes: result.n_nodes,
          n_active_features: result.n_active_features,
          logit_targets: result.logit_targets,
          scores: result.scores,
          top_features: result.top_features.map(
            ({ id, layer, position, feature, token, activation, influence, label }) => ({
              id,
              layer,
              position,
              feature,
              token,
              activation,
              influence,
              ...(label !== undefined && { label }),
            }),
          ),
        },
        full: result,
      };
    }),
});
