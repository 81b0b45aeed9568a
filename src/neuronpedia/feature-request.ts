/** Neuronpedia: one feature by the API, with its activations and explanations. */
import { BadFileError } from '../errors.ts';
import { withoutKey } from '../hub/redact.ts';
import { wholeFeature, type WholeFeature } from './feature-records.ts';
import type { NeuronpediaHttp, TryOptions } from './http.ts';
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
  const request = { url, accept: [NOT_FOUND] };
  const text = await http.run(async () => {
    const answer = await http.open(request, options.signal);
    if (answer.status !== NOT_FOUND) return await wholeText(answer.chunks(), http.describe(request));
    await answer.discard();
    return null;
  }, options);
  const bytes = text === null ? 0 : Buffer.byteLength(text);
  const value = text === null ? null : parsed(text, http, url);
  if (value === null) return { whole: null, bytes };
  const result = wholeFeature(value);
  if ('fault' in result) throw badAnswer(http, url, `is no feature: ${result.fault}`);
  const { row } = result;
  if (row.feature.index === index) return { whole: row, bytes };
  throw badAnswer(http, url, `is about feature ${row.feature.index}`);
}

async function wholeText(chunks: AsyncIterable<Uint8Array>, what: string): Promise<string> {
  const parts: Uint8Array[] = [];
  let bytes = 0;
  for await (const chunk of chunks) {
    bytes += chunk.length;
    if (bytes > LARGEST_FEATURE_BYTES) {
      throw new BadFileError({
        code: 'answer_too_large',
        message: `${what} answered with more than ${LARGEST_FEATURE_BYTES / 2 ** 20} MiB`,
        hint: 'Check that the address of the site is the one that is meant.',
      });
    }
    parts.push(chunk);
  }
  return Buffer.concat(parts).toString('utf8');
}

function parsed(text: string, http: NeuronpediaHttp, url: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    throw badAnswer(http, url, 'is not JSON');
  }
}

function badAnswer(http: NeuronpediaHttp, url: string, what: string): BadFileError {
  return new BadFileError({
    code: 'bad_answer',
    message: withoutKey(`the answer to ${http.describe({ url })} ${what}`, http.address.key),
    hint: 'It may come from a sign-in page of the network, or a newer version of the API.',
  });
}
