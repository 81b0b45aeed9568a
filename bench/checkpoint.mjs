/** Benchmark: the synthetic checkpoint, made where it is missing. */
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';

const MAKER = path.join(import.meta.dirname, 'make-checkpoint.mjs');

/** The folder of the checkpoint with so many layers; about a minute where it has to be made (4 GB with 6 layers). */
export function ensureCheckpoint(named, layers) {
  const folder = named ?? path.join(import.meta.dirname, 'checkpoints', `layers-${layers}`);
  const last = path.join(folder, 'transcoders', `layer_${layers - 1}.safetensors`);
  if (existsSync(path.join(folder, 'model', 'config.json')) && existsSync(last)) return folder;
  const command = [
    'bench/make-checkpoint.mjs',
    '--layers',
    String(layers),
    ...(named ? ['--out', named] : []),
  ];
  if (named) {
    throw new Error(
      `${folder} has no checkpoint of ${layers} layers. Make it with: node ${command.join(' ')}`,
    );
  }
  process.stderr.write(`Making the checkpoint that is measured: node ${command.join(' ')}\n`);
  const made = spawnSync(process.execPath, [MAKER, ...command.slice(1)], { stdio: ['ignore', 2, 2] });
  if (made.status !== 0)
    throw new Error(`node ${command.join(' ')} ended with ${made.status ?? made.signal}`);
  return folder;
}
