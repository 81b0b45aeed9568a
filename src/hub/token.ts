/** Hub: the access token, found where Python's huggingface_hub finds it and never printed. */
import { readFileSync } from 'node:fs';
import { inspect } from 'node:util';
import { UsageError } from '../errors.ts';
import { errnoCode } from '../formats/system-errors.ts';

/** A token that no print, log or JSON shows. Only `authorization()` reveals it, for the header of a request. */
export class AccessToken {
  /** Where it was found: the name of a variable, or the path of the token file. */
  readonly source: string;
  readonly #value: string;

  constructor(value: string, source: string) {
    // Checked here because `fetch` quotes the whole header, token included, when it refuses one.
    if (!/^[\x21-\x7e]+$/.test(value)) {
      throw new UsageError({
        code: 'bad_token',
        message: `the access token from ${source} has characters that cannot be sent`,
        hint: 'Copy the token again from https://huggingface.co/settings/tokens, without spaces or line breaks.',
      });
    }
    this.#value = value;
    this.source = source;
  }

  authorization(): string {
    return `Bearer ${this.#value}`;
  }

  toString(): string {
    return `access token from ${this.source}`;
  }

  toJSON(): string {
    return this.toString();
  }

  [inspect.custom](): string {
    return this.toString();
  }
}

/** `HF_TOKEN`, else the old `HUGGING_FACE_HUB_TOKEN`, else the file that `hf auth login` writes. Blank counts as absent. */
export function findToken(env: NodeJS.ProcessEnv, tokenPath: string): AccessToken | undefined {
  for (const name of ['HF_TOKEN', 'HUGGING_FACE_HUB_TOKEN']) {
    const value = env[name]?.trim();
    if (value) return new AccessToken(value, name);
  }
  const value = readTokenFile(tokenPath)?.trim();
  return value ? new AccessToken(value, tokenPath) : undefined;
}

function readTokenFile(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (cause) {
    if (errnoCode(cause) === 'ENOENT') return undefined;
    throw new UsageError({
      code: 'bad_token',
      message: `the token file ${path} cannot be read`,
      hint: 'Make it readable, name another one in HF_TOKEN_PATH, or set HF_TOKEN.',
      cause,
    });
  }
}
