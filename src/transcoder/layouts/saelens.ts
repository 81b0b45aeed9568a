/** Transcoder layouts: SAELens, one folder a layer with any name; layer and hooks are in its cfg.json, in TransformerLens' names. */
import * as v from 'valibot';
import { jsonObject } from '../../formats/json-object.ts';
import { readJson } from '../../formats/json.ts';
import type { BlockSite, OutputSite } from '../../model/hooks.ts';
import { INPUT_SITES, OUTPUT_SITES, type LayerDescription, type ModelSize } from '../description.ts';
import type { SetFiles } from '../set-files.ts';
import { saelens as saelensTensors, type SaelensKind } from '../sources/saelens.ts';
import { expectShape } from '../sources/source.ts';
import { foldersWith, hasFolderWith, type Layout } from './layout.ts';
import { refuseFieldsOf, refuseTwice, type RefuseField } from './refusal.ts';

const CONFIG = 'cfg.json';
const WEIGHTS = 'sae_weights.safetensors';
const HOOK = /^blocks\.(\d+)\.(.+)$/;

const text = v.optional(v.nullable(v.string()));
const count = v.pipe(v.number(), v.integer(), v.minValue(1));

const ConfigFile = jsonObject({
  architecture: v.string(),
  d_in: count,
  d_sae: count,
  d_out: v.optional(v.nullable(count)),
  apply_b_dec_to_input: v.optional(v.nullable(v.boolean())),
  normalize_activations: v.optional(v.nullable(v.string()), 'none'),
  reshape_activations: v.optional(v.nullable(v.string()), 'none'),
  metadata: v.optional(v.nullable(jsonObject({ model_name: text, hook_name: text, hook_name_out: text }))),
  // Before version 6 there was no metadata.
  model_name: text,
  hook_name: text,
  hook_name_out: text,
});
type Config = v.InferOutput<typeof ConfigFile>;

const ARCHITECTURES: Readonly<Record<string, SaelensKind>> = {
  transcoder: { hasThreshold: false, hasSkip: false },
  skip_transcoder: { hasThreshold: false, hasSkip: true },
  jumprelu_transcoder: { hasThreshold: true, hasSkip: false },
  jumprelu_skip_transcoder: { hasThreshold: true, hasSkip: true },
};

/** One layer and what all layers have to agree on. */
interface Described extends LayerDescription {
  readonly config: string;
  readonly input: BlockSite;
  readonly output: OutputSite;
  readonly model_name: string;
}

export const saelens: Layout = {
  name: 'SAELens',
  lookedFor: `folders with ${CONFIG} and ${WEIGHTS}`,
  recognises: (paths) => hasFolderWith(paths, WEIGHTS, CONFIG),
  isConfig: (path) => path === CONFIG || path.endsWith(`/${CONFIG}`),
  async describe(files) {
    const layers: Described[] = [];
    for (const folder of foldersWith(files.paths, WEIGHTS)) {
      const described = await describeLayer(files, folder);
      const twin = layers.find(({ layer }) => layer === described.layer);
      if (twin) refuseTwice(files.name, described.layer, twin.files[0]!, described.files[0]!);
      layers.push(described);
    }
    layers.sort((a, b) => a.layer - b.layer);
    const [first] = layers as [Described, ...Described[]];
    for (const { config, input, output, layer } of layers) {
      const expected = (site: string): string => `blocks.${layer}.${site}, as layer ${first.layer} has it`;
      const refuse = refuseFieldsOf(config);
      const hint = 'All layers of a set read and write at the same hooks.';
      if (input !== first.input) refuse('hook_name', `blocks.${layer}.${input}`, expected(first.input), hint);
      if (output !== first.output)
        refuse('hook_name_out', `blocks.${layer}.${output}`, expected(first.output), hint);
    }
    return {
      layout: 'SAELens',
      kind: 'transcoder_set',
      feature_input_hook: first.input,
      feature_output_hook: first.output,
      model_name: first.model_name,
      scan: null,
      configFiles: foldersWith(files.paths, WEIGHTS).map((folder) => folder + CONFIG),
      layers,
    };
  },
};

async function describeLayer(files: SetFiles, folder: string): Promise<Described> {
  using source = await files.open(folder + CONFIG);
  const config = await readJson(source, ConfigFile);
  const refuse = refuseFieldsOf(source.name);
  const kind = kindOf(config, refuse);
  checkArithmetic(config, refuse);
  const names = config.metadata ?? config;
  const input = hookOf('hook_name', names.hook_name, INPUT_SITES, refuse);
  const output = hookOf('hook_name_out', names.hook_name_out, OUTPUT_SITES, refuse);
  if (output.layer !== input.layer) {
    const hint = 'A transcoder describes the MLP of its own layer.';
    refuse('hook_name_out', names.hook_name_out, `a hook of blocks.${input.layer}`, hint);
  }
  return {
    layer: input.layer,
    files: [folder + WEIGHTS],
    config: source.name,
    input: input.site,
    output: output.site,
    model_name: names.model_name ?? '',
    source: ([file], model) => {
      checkSizes(config, model, refuse);
      const layer = saelensTensors(file!, input.layer, kind);
      expectShape(layer.W_enc, [config.d_in, config.d_sae], `d_in and d_sae of ${CONFIG}`);
      return layer;
    },
  };
}

function kindOf({ architecture }: Config, refuse: RefuseField): SaelensKind {
  const known = Object.hasOwn(ARCHITECTURES, architecture) ? ARCHITECTURES[architecture] : undefined;
  if (known) return known;
  const hint =
    'Autoencoders (standard, jumprelu, topk, …) reconstruct their own input; only transcoders describe an MLP.';
  return refuse('architecture', architecture, Object.keys(ARCHITECTURES).join(', '), hint);
}

/** What would make another linear model than the one that is traced, or needs a number that is not in the files. */
function checkArithmetic(config: Config, refuse: RefuseField): void {
  const { normalize_activations, reshape_activations, metadata } = config;
  if (normalize_activations !== null && normalize_activations !== 'none') {
    const hint =
      'Normalised inputs are another model, and a factor from training is not in the files. Fold it into the weights before saving.';
    refuse('normalize_activations', normalize_activations, '"none"', hint);
  }
  if (reshape_activations !== null && reshape_activations !== 'none')
    refuse(
      'reshape_activations',
      reshape_activations,
      '"none"',
      'Features read whole vectors of the residual stream.',
    );
  // Where the form before version 6 does not say it, it means true.
  const applies =
    config.apply_b_dec_to_input ?? (metadata ? false : 'missing, which meant true before SAELens 6');
  if (applies !== false)
    refuse(
      'apply_b_dec_to_input',
      applies,
      'false',
      'It is not defined for transcoders; SAELens refuses it as well.',
    );
}

function checkSizes({ d_in, d_out }: Config, { d_model }: ModelSize, refuse: RefuseField): void {
  const expected = `${d_model}, the model's d_model`;
  const hint = 'Was this set made for another model?';
  if (d_in !== d_model) refuse('d_in', d_in, expected, hint);
  if (d_out !== undefined && d_out !== null && d_out !== d_model) refuse('d_out', d_out, expected, hint);
}

function hookOf<S extends string>(
  field: string,
  name: string | null | undefined,
  sites: readonly S[],
  refuse: RefuseField,
): { readonly layer: number; readonly site: S } {
  const [, layer, site] = HOOK.exec(name ?? '') ?? [];
  const known = sites.find((each) => each === site);
  if (layer !== undefined && known !== undefined) return { layer: Number(layer), site: known };
  const hint =
    site === 'hook_mlp_in'
      ? 'hook_mlp_in is ambiguous: in TransformerLens the residual stream before ln2, in SAELens also what ln2 gives. Write hook_resid_mid or mlp.hook_in.'
      : 'Features read what the MLP reads and write what it writes.';
  return refuse(field, name ?? null, sites.map((each) => `blocks.<i>.${each}`).join(' or '), hint);
}
