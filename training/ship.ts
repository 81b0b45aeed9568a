/** Writes the shipped files from trained arrays. */
import { copyFile, mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { TransformerConfig } from '../src/model/config.ts';
import { writeModel, writeTranscoders } from '../src/training/export.ts';
import type { Parameter } from '../src/training/parameters.ts';
import type { TranscoderParameters } from '../src/training/transcoder-parameters.ts';
import { configFile } from './shape.ts';
import type { Run } from './steps.ts';

const TOKENIZER_FILES = ['tokenizer.json', 'tokenizer_config.json', 'special_tokens_map.json'];

/** Writes `model/` and `transcoders/` in `output`. */
export async function ship(
  run: Run,
  config: TransformerConfig,
  parameters: readonly Parameter[],
  layers: readonly TranscoderParameters[],
  output: string,
): Promise<void> {
  const { tokenizer, used } = run.prepared;
  const model = join(output, 'model');
  await mkdir(model, { recursive: true });
  for (const file of TOKENIZER_FILES) await copyFile(join(run.folder, 'tokenizer', file), join(model, file));
  const settings = configFile(tokenizer.vocabularySize);
  await writeFile(join(model, 'config.json'), `${JSON.stringify(settings, null, 2)}\n`);
  await writeModel(model, config, parameters, used, tokenizer.vocabularySize);
  await writeTranscoders(join(output, 'transcoders'), layers, 'embedded');
}
