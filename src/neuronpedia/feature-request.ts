/** Neuronpedia: one feature by the API, with its activations and explanations. */
import * as v from 'valibot';
import { BadFileError } from '../errors.ts';
import { withoutKey } from '../hub/redact.ts';
import { wholeFeature, type WholeFeature } from './feature-records.ts';
import { upTo, type NeuronpediaHttp, type TryOptions } from './http.ts';
import { readAnswer } from './json.ts';
import { sourceOfLayer, type SourceTemplate } from './source-name.ts';

/** With all activations a feature has some hundred KB. */
const LARGEST_FEATURE_BYTES = 32 * 2 ** 20;
const NOT_FOUND = 404;

export interface AskedFeature {
  /** Null where the site knows no such feature. */
  readonly whole: WholeFeature | null;
  readonly bytes: number;
}

/**
 * Throws `BadFileError` for an answer of another form, or about another feature, and what `NeuronpediaHttp.open` throws for
 * refusals other than 404. A feature that is not known is answered with 404, or with `null`.
 */
export async function askFeature(
  http: NeuronpediaHttp,
  template: SourceTemplate,
  layer: number,
  index: number,
  options: TryOptions = {},
): Promise<AskedFeature> {
  const url = `/api/feature/${template.model}/${sourceOfLayer(template, layer)}/${index}`;
  const body = await http.run(async () => {
    const answer = await http.open({ url, accept: [NOT_FOUND] }, options.signal);
    if (answer.status === NOT_FOUND) {
      await answer.discard();
      return null;
    }
    return (await upTo(answer.chunks(), LARGEST_FEATURE_BYTES)) ?? 'too large';
  }, options);
  if (body === 'too large')
    throw badAnswer(http, url, `has more than ${LARGEST_FEATURE_BYTES / 2 ** 20} MiB`);
  const bytes = body?.length ?? 0;
  const value = body && readAnswer(http, { url }, body.toString('utf8'), v.unknown());
  if (value === null) return { whole: null, bytes };
  const result = wholeFeature(value);
  if ('fault' in result) throw badAnswer(http, url, `is no feature: ${result.fault}`);
  const { row } = result;
  if (row.feature.index !== index) throw badAnswer(http, url, `is about feature ${row.feature.index}`);
  return { whole: row, bytes };
}

function badAnswer(http: NeuronpediaHttp, url: string, what: string): BadFileError {
  return new BadFileError({
    code: 'bad_answer',
    message: withoutKey(`the answer to ${http.describe({ url })} ${what}`, http.address.key),
    hint: 'It may come from a sign-in page of the network, or a newer version of the API.',
  });
}
