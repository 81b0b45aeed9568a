/** Engine: rows of an interrupted attribution, and the conditions under which they can be resumed. */
import { createHash } from 'node:crypto';
import { RowFile, type Fingerprint } from '../../attribution/row-file.ts';
import type { TargetChoice } from '../../attribution/targets.ts';
import type { SourceReference } from '../../graph/graph.ts';
import { CONFIG_FILE } from '../../model/checkpoint.ts';
import type { ActiveFeatures } from '../../replacement/replacement-model.ts';
import { sourceReference } from '../origin.ts';
import { packageVersion } from '../provenance.ts';
import type { Session } from '../session.ts';

/** Hexadecimal digits of a hash that are kept: enough to avoid collisions, short enough to read. */
const SHOWN_DIGITS = 16;

/** Opens or begins the rows of an attribution. Errors as `RowFile.open`. */
export async function openRows(
  file: string,
  session: Session,
  tokens: readonly number[],
  targets: TargetChoice,
  features: ActiveFeatures,
): Promise<RowFile> {
  const { subject, description } = session;
  const fingerprint: Fingerprint = {
    tracer_version: packageVersion(),
    model: identity(await sourceReference(subject.model, [CONFIG_FILE])),
    transcoders: identity(await sourceReference(subject.transcoders, subject.transcoders.config.configFiles)),
    backend: `${description.backend} on ${description.device}`,
    dtype: description.dtype,
    tokens: digest(JSON.stringify(tokens)),
    targets: digest(JSON.stringify(targets)),
    // Detects other weights under the same configuration.
    active_features: digest(
      new Uint8Array(features.indices.buffer, features.indices.byteOffset, features.indices.byteLength),
    ),
  };
  return await RowFile.open(file, fingerprint);
}

function identity({ name, revision, config_sha256 }: SourceReference): string {
  return `${name} ${revision ?? config_sha256?.slice(0, SHOWN_DIGITS) ?? ''}`;
}

function digest(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex').slice(0, SHOWN_DIGITS);
}
