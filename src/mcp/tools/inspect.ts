/** Mcp, tools that describe the model and one feature, from headers, single rows and pages. */
import { inspect } from '../../engine/inspect/inspect.ts';
import type {
  FeatureExampleResult,
  InspectFeatureResult,
  InspectSummaryResult,
} from '../../engine/inspect/types.ts';
import { markedText } from '../../features/explain/texts.ts';
import { strictJsonObject } from '../../formats/json-object.ts';
import { defineTool, described, listLength, wholeNumber } from '../tool.ts';

export const inspectModel = defineTool({
  name: 'inspect_model',
  title: 'Model and transcoders',
  description: 'Names, sizes and kinds of the model and the transcoder set that the other tools use.',
  input: strictJsonObject({}),
  work: async (_args, { common }, call) => {
    const result = (await inspect({ ...common, ...call, show: { view: 'summary' } })) as InspectSummaryResult;
    const { model, transcoders, model_details, transcoder_details } = result;
    return { short: { model, transcoders, model_details, transcoder_details } };
  },
});

export const inspectFeature = defineTool({
  name: 'inspect_feature',
  title: 'Look at a feature',
  description:
    'What a feature stands for: its label, the texts in which it is most active (active tokens between << and >>), and the tokens that it promotes and suppresses.',
  input: strictJsonObject({
    layer: described(wholeNumber, 'Its layer'),
    feature: described(wholeNumber, 'Its number'),
    examples: listLength(3, 'Texts to show', 0),
    tokens: listLength(5, 'Promoted and suppressed tokens'),
  }),
  work: async ({ layer, feature, examples, tokens }, { common }, call) => {
    const show = { view: 'feature', layer, feature, top: tokens } as const;
    const result = (await inspect({ ...common, ...call, show })) as InspectFeatureResult;
    const { label, page, promotes, suppresses } = result;
    return {
      short: {
        layer,
        feature,
        label: label ?? null,
        ...(page && {
          activation_frequency: page.activation_frequency,
          largest_activation: page.largest_activation,
          examples: page.examples.slice(0, examples).map(shortExample),
        }),
        promotes: promotes.map(({ text }) => text),
        suppresses: suppresses.map(({ text }) => text),
      },
      full: result,
    };
  },
});

function shortExample({ tokens, activations, position }: FeatureExampleResult): object {
  return { text: markedText({ tokens, activations }), activation: activations[position] ?? 0 };
}
