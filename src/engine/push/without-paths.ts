/** Engine, verb `push`: files of a set that name paths of this machine, written anew without them. All else in them stays. */
import { createReadStream, existsSync } from 'node:fs';
import { basename, join, win32 } from 'node:path';
import { createInterface } from 'node:readline';
import * as v from 'valibot';
import { BadFileError, UsageError } from '../../errors.ts';
import { writeFileAtomic } from '../../formats/atomic.ts';
import { looseJsonObject } from '../../formats/json-object.ts';
import { readYaml, yamlWith } from '../../formats/yaml.ts';
import { looksLocal } from '../../hub/resolve.ts';
import { SET_CONFIG } from '../../trainer/export.ts';
import { LOG_FILE } from '../../trainer/log.ts';
import type { SetDescription } from '../../transcoder/description.ts';
import { SetConfigFile } from '../../transcoder/set-config.ts';

/**
 * Writes those files into `folder`, and returns their paths in the set. Throws `UsageError` where the set names its model by a path and
 * `modelName` does not say what it is called elsewhere, and `BadFileError` for a list of files by their whole paths.
 */
export async function writeWithoutPaths(
  set: string,
  { model_name, configFiles }: SetDescription,
  modelName: string | undefined,
  folder: string,
): Promise<string[]> {
  const name = modelName ?? model_name;
  if (modelName?.trim() === '' || looksLocal(name)) throw badName(set, configFiles, name, modelName);
  const written: string[] = [];
  if (configFiles.includes(SET_CONFIG)) {
    const path = join(set, SET_CONFIG);
    await refuseListedPaths(path);
    if (name !== model_name) {
      await writeFileAtomic(join(folder, SET_CONFIG), await yamlWith(path, 'model_name', name));
      written.push(SET_CONFIG);
    }
  } else if (name !== model_name) throw otherLayout(configFiles);
  if (await writeLog(join(set, LOG_FILE), join(folder, LOG_FILE), name)) written.push(LOG_FILE);
  return written;
}

/** How a log begins (`TrainRecord`): where the model and the held-out documents were. */
const Begin = looseJsonObject({
  event: v.literal('begin'),
  record: looseJsonObject({
    modelName: v.string(),
    identity: looseJsonObject({ model: v.string(), held_out: v.string() }),
  }),
});

/** Writes a training's log with another first line; false where there is none, or nothing to change. */
async function writeLog(path: string, output: string, name: string): Promise<boolean> {
  if (!existsSync(path)) return false;
  const line = await firstLine(path);
  const begin = v.safeParse(v.pipe(v.string(), v.parseJson(), Begin), line);
  if (!begin.success) return false;
  const { record } = begin.output;
  const { identity } = record;
  const digest = identity.model.slice(identity.model.lastIndexOf(' '));
  const model = looksLocal(record.modelName) ? { modelName: name } : {};
  const first = JSON.stringify({
    ...begin.output,
    record: {
      ...record,
      ...model,
      identity: {
        ...identity,
        ...('modelName' in model && { model: `${name}${digest}` }),
        held_out: identity.held_out
          .split(',')
          .map((file) => basename(file))
          .join(),
      },
    },
  });
  if (first === line) return false;
  await writeFileAtomic(output, async (writer) => {
    await writer.write(first);
    // The rest as it is: a log of a long training is large.
    for await (const bytes of createReadStream(path, { start: Buffer.byteLength(line!) }))
      await writer.write(bytes as Buffer);
  });
  return true;
}

async function firstLine(path: string): Promise<string | null> {
  const input = createReadStream(path);
  try {
    for await (const line of createInterface({ input, crlfDelay: Infinity })) return line;
    return null;
  } finally {
    input.destroy();
  }
}

/** A list of files as they lie on this machine leads nowhere else, and tells how its folders are called. */
async function refuseListedPaths(path: string): Promise<void> {
  const { transcoders } = await readYaml(path, SetConfigFile);
  for (const entry of transcoders ?? []) {
    const file = typeof entry === 'string' ? entry : String(entry['filepath']);
    if (!win32.isAbsolute(file) && !file.startsWith('file:')) continue;
    throw new BadFileError({
      code: 'local_path',
      message: `${path}: transcoders names ${JSON.stringify(file)}, a path of this machine`,
      hint: `Write the path from the folder of ${SET_CONFIG} on, such as layer_0.safetensors.`,
    });
  }
}

function badName(
  set: string,
  configFiles: readonly string[],
  name: string,
  modelName: string | undefined,
): UsageError {
  if (modelName !== undefined) {
    return new UsageError({
      code: 'bad_value',
      message: `--model-name: expected a name that says something elsewhere too, found '${modelName}'`,
      hint: 'Write it as --model-name owner/name.',
    });
  }
  return new UsageError({
    code: 'local_model',
    message: `${set} names its model by ${name}, a path of this machine, which would be seen by everybody and lead nowhere`,
    hint: configFiles.includes(SET_CONFIG)
      ? 'Say what the model is called elsewhere: --model-name owner/name, or any other name. The files here stay as they are.'
      : `Write another name into ${configFiles.join(', ')}.`,
  });
}

function otherLayout(configFiles: readonly string[]): UsageError {
  return new UsageError({
    code: 'other_layout',
    message: `--model-name is written into ${SET_CONFIG}, which this set does not have`,
    hint: `Write the name into ${configFiles.join(', ') || 'its configuration'}.`,
  });
}
