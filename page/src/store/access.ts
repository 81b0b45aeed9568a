/** Page, state: sends the token of the server if it was not in the address. */
import { sendToken } from '../server.ts';
import { forgetRefusedJob } from './jobs.ts';
import { saveNow } from './sync.ts';

/** Throws `RequestFailed` for a wrong token; otherwise saves what could not be saved before. */
export async function giveToken(text: string): Promise<void> {
  await sendToken(tokenIn(text));
  forgetRefusedJob();
  saveNow();
}

/** The token itself, or that of an address with `?token=…`. */
function tokenIn(text: string): string {
  const given = text.trim();
  return (URL.canParse(given) ? new URL(given).searchParams.get('token') : null) ?? given;
}
