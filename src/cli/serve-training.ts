/** `train --serve`: the page with the curves of a training, in its process, while it runs. */
import { realpathSync } from 'node:fs';
import path from 'node:path';
import { TracerError } from '../errors.ts';
import type { CommandContext } from './perform.ts';
import type { ServerFlags } from './serving.ts';

/** Its jobs would take memory and time from the training. */
const MODEL_IN_TRAINING = 'this server shows a training that runs in its process';

/**
 * Shows the training in a folder until it is disposed, and reports the address. Null where no server can be started, which is reported
 * too: a training does not depend on being seen.
 */
export async function serveTraining(
  folder: string,
  { port = 0, host, allowHost, basePath, token, open }: ServerFlags,
  { common, report }: Pick<CommandContext, 'common' | 'report'>,
): Promise<AsyncDisposable | null> {
  const [{ openViewer }, { openBrowser }] = await Promise.all([
    import('../viewer/server.ts'),
    import('../viewer/open-browser.ts'),
  ]);
  try {
    const viewer = await openViewer({
      paths: [folder],
      port,
      host,
      allowedHosts: allowHost,
      basePath,
      token,
      common,
      whyNoModel: MODEL_IN_TRAINING,
    });
    const address = new URL(viewer.address);
    address.searchParams.set('training', path.basename(realpathSync(folder)));
    report({ kind: 'note', message: `The training can be watched at ${address.href}` });
    const failure = open ? await openBrowser(address.href, { isSecret: viewer.token !== null }) : null;
    if (failure !== null) report({ kind: 'note', message: failure });
    return viewer;
  } catch (error) {
    if (!(error instanceof TracerError)) throw error;
    const message = `The training is not shown: ${error.message}`;
    report({ kind: 'warning', message });
    return null;
  }
}
