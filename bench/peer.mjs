/**
 * Benchmark: the reference in the same run (`--peer PYTHON`). A figure of another machine, or of another hour, says nothing
 * about a ratio.
 */
import { spawn } from 'node:child_process';
import path from 'node:path';

const SCRIPT = path.join(import.meta.dirname, 'peer.py');

/** What `peer.py` prints. Throws with the end of what it wrote on stderr when it fails. */
export async function measurePeer(python, { checkpoint, tokens, nodes, batchSize }) {
  const args = [SCRIPT, checkpoint, '--tokens', tokens, '--nodes', String(nodes), '--batch-size', batchSize];
  const child = spawn(python, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const [out, err] = [[], []];
  child.stdout.on('data', (bytes) => out.push(bytes));
  child.stderr.on('data', (bytes) => err.push(bytes));
  const [exitCode, signal] = await new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, name) => resolve([code, name]));
  });
  const printed = /^\{.*\}$/m.exec(Buffer.concat(out).toString())?.[0];
  if (exitCode === 0 && printed) return JSON.parse(printed);
  const said = Buffer.concat(err).toString().trimEnd().split('\n').slice(-8).join('\n');
  throw new Error(`${python} ${SCRIPT} ended with ${signal ?? exitCode}:\n${said}`);
}
