/** Transcoder: the configuration of a set, from `config.yaml`, checked once. */
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { jsonObject, looseJsonObject } from '../formats/json-object.ts';
import type { BlockSite, OutputSite } from '../model/hooks.ts';
import { nearest } from '../nearest.ts';

/** An entry of the list as circuit-tracer wrote it until mid-2025; the path alone came after it. */
const Entry = jsonObject({ layer: v.pipe(v.number(), v.integer(), v.minValue(0)), filepath: v.string() });

export const SetConfigFile = jsonObject({
  model_kind: v.optional(v.picklist(['transcoder_set', 'cross_layer_transcoder'])),
  feature_input_hook: v.string(),
  feature_output_hook: v.string(),
  model_name: v.optional(v.string(), ''),
  scan: v.optional(v.nullable(v.union([v.string(), v.array(v.string())]))),
  activation: v.optional(v.nullable(v.string())),
  k: v.optional(v.nullable(v.pipe(v.number(), v.integer(), v.minValue(1)))),
  transcoders: v.optional(v.nullable(v.array(v.union([v.string(), looseJsonObject({})])))),
});

/** The value of `activation`; JumpReLU takes its thresholds from the files. */
export type NamedActivation =
  { readonly kind: 'relu' } | { readonly kind: 'jumprelu' } | { readonly kind: 'topk'; readonly k: number };

export type ActivationKind = NamedActivation['kind'];

export interface SetConfig {
  /** `none`: there is no set (`no-set.ts`). */
  readonly kind: 'transcoder_set' | 'cross_layer_transcoder' | 'none';
  /** Where features read and write, as sites of a block (`ln2.hook_normalized`, `hook_mlp_out`). */
  readonly feature_input_hook: BlockSite;
  readonly feature_output_hook: OutputSite;
  /** The model that the set says it was made for; may be empty. */
  readonly model_name: string;
  /** The name under which feature pages are looked up, when the set gives one. */
  readonly scan: string | null;
  /** The activation that the set names; null: layers with a threshold are JumpReLU and others ReLU. */
  readonly activation: NamedActivation | null;
  /** Files of the layers in order: `hf://` addresses, absolute paths or paths relative to config.yaml. Null: recognised by name. */
  readonly transcoders: readonly string[] | null;
}

const KINDS = '"transcoder_set" or "cross_layer_transcoder"';

/** Sites for which the backward pass has a rule (golden README, section 5). */
const INPUT_SITES: readonly BlockSite[] = ['ln2.hook_normalized', 'mlp.hook_in', 'hook_resid_mid'];
const OUTPUT_SITES: readonly OutputSite[] = ['hook_mlp_out', 'mlp.hook_out'];

/** Checks the content of `config.yaml`; `name` is for the message of the `BadFileError` that it throws. */
export function setConfig(file: v.InferOutput<typeof SetConfigFile>, name: string): SetConfig {
  const refuse = (field: string, found: unknown, expected: string, hint: string): never => {
    throw new BadFileError({
      code: 'bad_set_config',
      message: `${name}: ${field} is ${JSON.stringify(found)}, expected ${expected}`,
      hint,
    });
  };
  const input = file.feature_input_hook as BlockSite;
  if (!INPUT_SITES.includes(input)) {
    const near = nearest(input, INPUT_SITES);
    const known = INPUT_SITES.map((site) => `"${site}"`).join(' or ');
    refuse(
      'feature_input_hook',
      input,
      known,
      near ? `The nearest hook is ${near}.` : 'Sets that read features elsewhere cannot be traced.',
    );
  }
  const output = file.feature_output_hook as OutputSite;
  if (!OUTPUT_SITES.includes(output)) {
    refuse(
      'feature_output_hook',
      output,
      OUTPUT_SITES.map((site) => `"${site}"`).join(' or '),
      'Features write what the MLP writes.',
    );
  }
  return {
    // Older sets have a list of files and no kind: there was only one.
    kind:
      file.model_kind ?? (file.transcoders ? 'transcoder_set' : refuse('model_kind', null, KINDS, 'Add it.')),
    feature_input_hook: input,
    feature_output_hook: output,
    model_name: file.model_name,
    scan: typeof file.scan === 'string' ? file.scan : (file.scan?.join(',') ?? null),
    activation: namedActivation(file, refuse),
    transcoders: file.transcoders ? filesInOrder(file.transcoders, refuse) : null,
  };
}

const ONE_EACH = 'The list has one file for each layer of the model.';

/** Objects may be in any order, since they name their layer; the layer of a plain path is its position in the list. */
function filesInOrder(
  entries: readonly unknown[],
  refuse: (field: string, found: unknown, expected: string, hint: string) => never,
): string[] {
  const files: string[] = [];
  for (const [i, entry] of entries.entries()) {
    const placed = typeof entry === 'string' ? { layer: i, filepath: entry } : entry;
    if (!v.is(Entry, placed))
      return refuse(`transcoders[${i}]`, entry, 'a path, or an object with layer and filepath', ONE_EACH);
    const { layer, filepath } = placed;
    if (layer >= entries.length || files[layer] !== undefined)
      refuse(`transcoders[${i}].layer`, layer, `each of 0 to ${entries.length - 1} once`, ONE_EACH);
    files[layer] = filepath;
  }
  return files;
}

function namedActivation(
  file: v.InferOutput<typeof SetConfigFile>,
  refuse: (field: string, found: unknown, expected: string, hint: string) => never,
): SetConfig['activation'] {
  switch (file.activation) {
    case undefined:
    case null:
      return null;
    case 'jumprelu':
    case 'jump_relu':
      return { kind: 'jumprelu' };
    case 'relu':
      return { kind: 'relu' };
    case 'topk':
      if (!file.k)
        return refuse(
          'k',
          file.k ?? null,
          'a positive integer beside activation: topk',
          'k is the number of features that are kept at a position.',
        );
      return { kind: 'topk', k: file.k };
    default: {
      const near = nearest(file.activation, ['relu', 'jumprelu', 'topk']);
      return refuse(
        'activation',
        file.activation,
        'relu, jumprelu or topk',
        near ? `Did you mean ${near}?` : 'Sets with other activation functions cannot be traced.',
      );
    }
  }
}
