/** Page, state: the token of the server, given in the page when the address did not bring it. */
import { sendToken } from '../server.ts';
import { forgetRefusedJob } from './jobs.ts';
import { saveNow } from './keep.ts';

/** Throws what the server refused; else what it refused before is saved now. */
export async function giveToken(text: string): Promise<void> {
  await sendToken(tokenIn(text));
  forgetRefusedJob();
  saveNow();
}

/** The token itself, also of a whole address that has it as `?token=…`. */
function tokenIn(text: string): string {
  const given = text.trim();
  return (URL.canParse(given) ? new URL(given).searchParams.get('token') : null) ?? given;
}
