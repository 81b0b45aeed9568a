/** Neuronpedia: names of sources, `MODEL/SOURCE`, where SOURCE has the number of its layer in it. */
import { UsageError } from '../errors.ts';
import type { NeuronpediaSource } from './sources.ts';

const LAYER = '{layer}';
/** Neuronpedia's ids are put into paths: nothing else may get there. */
const MODEL = /^[A-Za-z0-9][\w.-]*$/;
const SOURCE = /^[\w.-]*\{layer\}[\w.-]*$/;

/** The sources of a set, one a layer. */
export interface SourceTemplate {
  readonly model: string;
  /** With `{layer}` for the layer. */
  readonly source: string;
}

export function isModelId(text: string): boolean {
  return MODEL.test(text);
}

/** Throws `UsageError` for what is no `MODEL/{layer}-NAME`. @param flag where it was written */
export function parseSourceTemplate(text: string, flag: string): SourceTemplate {
  const [model = '', source = '', ...more] = text.trim().split('/');
  if (isModelId(model) && SOURCE.test(source) && more.length === 0) return { model, source };
  throw new UsageError({
    code: 'bad_value',
    message: `${flag}: expected MODEL/SOURCE with ${LAYER} for the layer, found '${text}'`,
    hint: `Write it as ${flag} 'gemma-2-2b/${LAYER}-gemmascope-transcoder-16k', as in the address of a feature's page.`,
  });
}

/** The sources of a set that its preset names. */
export function templateOf({ model, set }: NeuronpediaSource): SourceTemplate {
  return { model, source: `${LAYER}-${set}` };
}

export function sourceOfLayer({ source }: SourceTemplate, layer: number): string {
  return source.replace(LAYER, String(layer));
}

export function templateText({ model, source }: SourceTemplate): string {
  return `${model}/${source}`;
}
