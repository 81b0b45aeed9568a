/** A golden checkpoint saved in two shards, with an index that may say other things than the shards hold. */
import { mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { readStored, writeStored, type StoredTensors } from './damage.ts';

export const INDEX = 'model.safetensors.index.json';
export const SHARDS = ['model-00001-of-00002.safetensors', 'model-00002-of-00002.safetensors'] as const;

export type WeightMap = Record<string, string>;

export interface Sharding {
  /** Paths of the shards, instead of `SHARDS`. */
  readonly paths?: readonly [string, string];
  /** Changes the tensors before they are shared out, as many to the first shard as to the second. */
  readonly tensors?: (tensors: StoredTensors) => StoredTensors;
  /** Changes what the index says. */
  readonly index?: (map: WeightMap) => void;
  /** Leaves the whole file where it is. */
  readonly keepWhole?: boolean;
}

/** Splits `model.safetensors` of a folder; returns the keys of each shard. */
export function shard(folder: string, sharding: Sharding = {}): [string[], string[]] {
  const whole = join(folder, 'model.safetensors');
  const stored = readStored(whole);
  const entries = [...(sharding.tensors?.(stored) ?? stored)];
  const half = Math.ceil(entries.length / 2);
  const parts = [entries.slice(0, half), entries.slice(half)] as const;
  const paths = sharding.paths ?? SHARDS;
  const map: WeightMap = {};
  parts.forEach((part, i) => {
    const path = join(folder, paths[i]!);
    mkdirSync(dirname(path), { recursive: true });
    writeStored(path, new Map(part));
    for (const [key] of part) map[key] = paths[i]!;
  });
  sharding.index?.(map);
  writeFileSync(join(folder, INDEX), JSON.stringify({ metadata: {}, weight_map: map }));
  if (!sharding.keepWhole) rmSync(whole);
  return [parts[0].map(([key]) => key), parts[1].map(([key]) => key)];
}
