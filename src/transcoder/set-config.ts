/** Transcoder: the configuration of a set, from `config.yaml`, checked once. */
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { jsonObject, looseJsonObject } from '../formats/json-object.ts';
import type { BlockSite, OutputSite } from '../model/hooks.ts';
import { nearest } from '../nearest.ts';
import { INPUT_SITES, OUTPUT_SITES, type SetKind } from './description.ts';
import type { NamedActivation } from './sources/named-activation.ts';

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

/** What `config.yaml` says. */
export interface SetConfig {
  readonly kind: Exclude<SetKind, 'none'>;
  readonly feature_input_hook: BlockSite;
  readonly feature_output_hook: OutputSite;
  readonly model_name: string;
  readonly scan: string | null;
  /** The activation that the set names; null: layers with a threshold are JumpReLU and others ReLU. */
  readonly activation: NamedActivation | null;
  /** Files by layer: `hf://` addresses, absolute paths or paths relative to config.yaml. Null: they have fixed names. */
  readonly transcoders: ReadonlyMap<number, string> | null;
}

const KINDS = '"transcoder_set" or "cross_layer_transcoder"';

type Refuse = (field: string, found: unknown, expected: string, hint: string) => never;

/** k of published sets whose configuration does not say it, by repository or `scan` (circuit-tracer's loader has the same table). */
const KNOWN_K: ReadonlyMap<string, number> = new Map([['facebook/crv-8b-instruct-transcoders', 128]]);

/**
 * Checks the content of `config.yaml`; `name` is for the message of the `BadFileError` that it throws.
 * @param repository where the set comes from, where that is the Hub
 */
export function setConfig(
  file: v.InferOutput<typeof SetConfigFile>,
  name: string,
  repository?: string,
): SetConfig {
  const refuse: Refuse = (field, found, expected, hint) => {
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
  const scan = typeof file.scan === 'string' ? file.scan : (file.scan?.join(',') ?? null);
  const known_k = KNOWN_K.get(repository ?? '') ?? KNOWN_K.get(scan ?? '');
  return {
    // Older sets have a list of files and no kind: there was only one.
    kind:
      file.model_kind ?? (file.transcoders ? 'transcoder_set' : refuse('model_kind', null, KINDS, 'Add it.')),
    feature_input_hook: input,
    feature_output_hook: output,
    model_name: file.model_name,
    scan,
    activation: namedActivation(file.activation, file.k ?? known_k, refuse),
    transcoders: file.transcoders ? filesByLayer(file.transcoders, refuse) : null,
  };
}

const ONE_EACH = 'The list has one file for each layer of the model.';

/** Objects may be in any order, since they name their layer; the layer of a plain path is its position in the list. */
function filesByLayer(entries: readonly unknown[], refuse: Refuse): Map<number, string> {
  const files = new Map<number, string>();
  for (const [i, entry] of entries.entries()) {
    const placed = typeof entry === 'string' ? { layer: i, filepath: entry } : entry;
    if (!v.is(Entry, placed)) {
      const expected = 'a path, or an object with layer and filepath';
      return refuse(`transcoders[${i}]`, entry, expected, ONE_EACH);
    }
    const { layer, filepath } = placed;
    if (files.has(layer))
      refuse(`transcoders[${i}].layer`, layer, 'a layer that is not listed yet', ONE_EACH);
    files.set(layer, filepath);
  }
  return files;
}

const ACTIVATIONS = ['relu', 'jumprelu', 'batchtopk', 'topk', 'groupmax'] as const;

function namedActivation(
  name: string | null | undefined,
  k: number | null | undefined,
  refuse: Refuse,
): NamedActivation | null {
  if (name === null || name === undefined) return null;
  const kind = ACTIVATIONS.find((each) => each === name.replace('jump_relu', 'jumprelu'));
  switch (kind) {
    case 'relu':
      return { kind };
    case 'jumprelu':
    case 'batchtopk':
      return { kind };
    case 'topk':
    case 'groupmax':
      if (k) return { kind, k };
      return refuse(
        'k',
        k ?? null,
        `a positive integer beside activation: ${kind}`,
        'k is the number of features that are kept at a position.',
      );
    case undefined: {
      const near = nearest(name, ACTIVATIONS);
      return refuse(
        'activation',
        name,
        ACTIVATIONS.join(', ').replace(/, (?=\w+$)/, ' or '),
        near ? `Did you mean ${near}?` : 'Sets with other activation functions cannot be traced.',
      );
    }
  }
}
