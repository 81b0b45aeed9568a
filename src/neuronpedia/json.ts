/** Neuronpedia: questions whose answers are JSON, checked by a schema before anything is done with them. */
import { BadFileError } from '../errors.ts';
import { withoutKey } from '../hub/redact.ts';
import { checkSchema, type Schema } from '../formats/parsed-text.ts';
import { messageOf } from '../formats/system-errors.ts';
import type { NeuronpediaHttp, NeuronpediaRequest, TryOptions } from './http.ts';

/** Far above every description; a feature's page has less than a MB. */
const LARGEST_JSON_BYTES = 32 * 2 ** 20;

/** `GET` without `send`, else `POST` with it as JSON. Throws `BadFileError` for an answer of another form. */
export async function askJson<T>(
  http: NeuronpediaHttp,
  path: string,
  schema: Schema<T>,
  options: TryOptions & Pick<NeuronpediaRequest, 'patience' | 'refused'> & { readonly send?: object } = {},
): Promise<T> {
  const { send, patience, refused, ...tries } = options;
  const request: NeuronpediaRequest = {
    url: path,
    refused,
    patience,
    ...(send !== undefined && {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(send),
    }),
  };
  const body = await http.body(request, LARGEST_JSON_BYTES, tries);
  return readAnswer(http, request, body.toString('utf8'), schema);
}

export function readAnswer<T>(
  http: NeuronpediaHttp,
  request: Pick<NeuronpediaRequest, 'method' | 'url'>,
  text: string,
  schema: Schema<T>,
): T {
  const what = `the answer to ${http.describe(request)}`;
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw badAnswer(`${what} is not JSON: ${withoutKey(messageOf(cause), http.address.key)}`);
  }
  try {
    return checkSchema(what, value, schema);
  } catch (error) {
    throw badAnswer(withoutKey(messageOf(error), http.address.key));
  }
}

function badAnswer(message: string): BadFileError {
  return new BadFileError({
    code: 'bad_answer',
    message,
    hint: 'It may come from a sign-in page of the network, a wrong --base-url, or a newer version of the API.',
  });
}
