/** A child process that fetches all files of a repository and writes what became of them as JSON. Ctrl-C aborts it. */
import { HubClient, readHubEnvironment, resolveFiles } from '../../../src/hub/resolve.ts';

const [repo = ''] = process.argv.slice(2);
const stop = new AbortController();
process.once('SIGINT', () => stop.abort(new Error('interrupted')));
const client = new HubClient(readHubEnvironment(), { onNotice: (text) => process.stderr.write(`${text}\n`) });

try {
  const { files } = await resolveFiles(
    { kind: 'hub', repo },
    { wanted: () => true, client, signal: stop.signal },
  );
  process.stdout.write(JSON.stringify(files));
} catch (error) {
  process.stdout.write(JSON.stringify({ error: error instanceof Error ? error.message : String(error) }));
  process.exitCode = 1;
}
