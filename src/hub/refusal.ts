/** Hub: a refusal by the Hub (401, 403, 404, …) as an error that names what was refused and what to do. */
import { NetworkError, NotFoundError, type TracerError } from '../errors.ts';
import type { AccessToken } from './token.ts';

/** What a request is about, for the errors it may end in. */
export interface Subject {
  readonly repo: string;
  readonly revision?: string;
  readonly path?: string;
}

export interface Refusal {
  readonly status: number;
  /** Address without its query, which may hold a signature. */
  readonly address: string;
  /** `X-Error-Code` and `X-Error-Message` of the Hub, if it sent them. */
  readonly errorCode: string | undefined;
  readonly errorMessage: string | undefined;
  readonly subject: Subject;
  readonly token: AccessToken | undefined;
}

export function refusalError(refusal: Refusal): TracerError {
  const { status, address, errorMessage, subject } = refusal;
  const said = errorMessage ? `; the Hub says: ${errorMessage}` : '';
  switch (status) {
    case 401:
    case 403:
      return notAllowed(refusal, said);
    case 404:
      return notThere(refusal);
    default:
      return new NetworkError({
        code: 'request_refused',
        message: `the Hub answered ${status} to ${address} (${subject.repo})${said}`,
        hint: 'If HF_ENDPOINT is set, check that it speaks the API of the Hugging Face Hub.',
      });
  }
}

function notAllowed({ status, errorCode, subject, token }: Refusal, said: string): NotFoundError {
  const page = `https://huggingface.co/${subject.repo}`;
  const gated = errorCode === 'GatedRepo' || (status === 403 && errorCode === undefined);
  const state = gated ? 'is gated' : 'does not exist, is private or is gated';
  const sent = token ? `the ${String(token)} was sent` : 'no access token was sent';
  const give = token
    ? 'use the token of an account that accepted them (HF_TOKEN or `hf auth login`), with read access to gated repositories'
    : 'give an access token in HF_TOKEN or with `hf auth login`';
  return new NotFoundError({
    code: gated ? 'gated' : 'not_authorised',
    message: `${subject.repo} ${state}: access refused (${status}, ${sent})${said}`,
    hint: `Check the name, accept the terms on ${page} if it has any, and ${give}.`,
  });
}

function notThere({ errorCode, subject, address }: Refusal): NotFoundError {
  const { repo, revision, path } = subject;
  const page = `https://huggingface.co/${repo}`;
  if (
    errorCode === 'RevisionNotFound' ||
    (errorCode === undefined && path === undefined && revision !== undefined)
  ) {
    return new NotFoundError({
      code: 'revision_not_found',
      message: `${repo} has no revision '${revision ?? ''}', or does not exist (${address})`,
      hint: `Look for the right name on ${page}, or leave the revision out for 'main'.`,
    });
  }
  if (errorCode === 'EntryNotFound' || (errorCode === undefined && path !== undefined)) {
    return new NotFoundError({
      code: 'file_not_found',
      message: `${repo} has no file '${path ?? ''}' at ${revision ?? 'main'} (${address})`,
      hint: `Look for the right name on ${page}.`,
    });
  }
  return new NotFoundError({
    code: 'repo_not_found',
    message: `the Hub has no model ${repo} (${address})`,
    hint: `Check the spelling of owner and name on ${page}; a private model needs an access token (HF_TOKEN or \`hf auth login\`).`,
  });
}
