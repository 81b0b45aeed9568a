/** A copy of a golden transcoder set with other numbers or another configuration. */
import { cpSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { readable } from '../../src/formats/dtype.ts';
import { openSafetensors } from '../../src/formats/safetensors.ts';
import type { ElementType } from '../../src/formats/tensor-file.ts';
import { writeSafetensors } from '../../src/formats/safetensors-writer.ts';
import { goldenPath, type Fixture } from '../support/golden.ts';

export interface Alteration {
  /** Changes a float32 tensor in place. */
  readonly tensor?: (name: string, values: Float32Array, layer: number) => void;
  readonly config?: (text: string) => string;
}

/** Writes the copy into `folder` and returns it. */
export async function alteredSet(
  fixture: Fixture,
  set: string,
  folder: string,
  { tensor, config }: Alteration,
): Promise<string> {
  cpSync(goldenPath(fixture, 'transcoders', set), folder, { recursive: true });
  if (config) {
    const file = path.join(folder, 'config.yaml');
    writeFileSync(file, config(readFileSync(file, 'utf8')));
  }
  if (!tensor) return folder;
  for (const name of readdirSync(folder).filter((file) => file.endsWith('.safetensors'))) {
    const layer = Number(/(\d+)\.safetensors$/.exec(name)![1]);
    const file = path.join(folder, name);
    const tensors = [];
    {
      using source = await openSafetensors(file);
      for (const [key, info] of source.tensors) {
        const data = (await source.read(key)).slice();
        if (info.dtype === 'F32') tensor(key, new Float32Array(data.buffer), layer);
        tensors.push({
          name: key,
          dtype: readable(file, info).dtype as ElementType,
          shape: info.shape,
          data,
        });
      }
    }
    await writeSafetensors(file, tensors);
  }
  return folder;
}
