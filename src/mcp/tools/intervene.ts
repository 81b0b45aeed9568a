/** Mcp, tool `intervene`: features or heads of a prompt are changed, and what follows is compared. */
import * as v from 'valibot';
import { interveneIn } from '../../engine/intervene/intervene.ts';
import { strictJsonObject } from '../../formats/json-object.ts';
import { parseHeadRemoval } from '../../intervention/head-change.ts';
import { parseIntervention } from '../../intervention/text-form.ts';
import { defineTool, described, listLength, text } from '../tool.ts';
import { inputOf, labelled, promptArguments } from './shared.ts';

const texts = v.optional(v.array(text), []);

export const intervene = defineTool({
  name: 'intervene',
  title: 'Change features of a prompt',
  description:
    'Sets features of a prompt to other activations, or takes attention heads away, and compares the next tokens before and after. Attention patterns are held fixed unless free_attention is true.',
  input: strictJsonObject({
    ...promptArguments,
    changes: described(
      texts,
      'LAYER:POSITION:FEATURE=VALUE. VALUE is an activation (0 switches it off), *FACTOR or +AMOUNT; POSITION is a number, negative from the end, or a range such as 2.. or 2..5',
    ),
    remove_heads: described(texts, 'LAYER.HEAD, or LAYER.HEAD:QUERY:KEY for one entry of its pattern'),
    free_attention: v.optional(described(v.boolean(), 'Let attention patterns change'), false),
    top: listLength(5, 'Next tokens to compare'),
    features: listLength(5, 'Features that changed most', 0),
  }),
  work: async (args, workspace, call) => {
    const interventions = args.changes.map((change) => parseIntervention('changes', change));
    const heads = args.remove_heads.map((head) => parseHeadRemoval('remove_heads', head));
    return await workspace.withModel(call, async (session) => {
      const result = await interveneIn(session, {
        ...call,
        input: inputOf(args),
        interventions,
        heads,
        freezeAttention: !args.free_attention,
        top: args.top,
        features: args.features,
      });
      return {
        short: {
          before: result.baseline.top,
          after: result.top,
          kl_divergence: result.kl_divergence,
          max_abs_logit_change: result.max_abs_logit_change,
          interventions: result.interventions,
          features: await labelled(session, result.features),
        },
        full: result,
      };
    });
  },
});
