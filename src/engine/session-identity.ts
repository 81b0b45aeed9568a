/** Engine: what of a session its numbers depend on, so that interrupted work is resumed under the same conditions alone. */
import { CONFIG_FILE } from '../model/checkpoint.ts';
import type { NamedFiles } from './named-files.ts';
import { sourceReference } from './origin.ts';
import { packageVersion } from './provenance.ts';
import type { Session } from './session.ts';

/** By names for error messages. */
export async function identityOf({
  subject,
  description,
  prompts,
}: Session): Promise<Record<string, string>> {
  const named = async (part: NamedFiles, configFiles: readonly string[]): Promise<string> => {
    const { name, revision, config_sha256 } = await sourceReference(part, configFiles);
    return `${name} ${revision ?? config_sha256}`;
  };
  return {
    tracer_version: packageVersion(),
    model: await named(subject.model, [CONFIG_FILE]),
    transcoders: await named(subject.transcoders, subject.transcoders.config.configFiles),
    backend: `${description.backend} on ${description.device}`,
    dtype: description.dtype,
    ...(prompts.bos !== 'auto' && { bos: prompts.bos }),
  };
}
