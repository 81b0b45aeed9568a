/** Engine, verb `attention`: its safetensors files. */
import { checkWritable } from '../../formats/atomic.ts';
import { writeSafetensors, type TensorToWrite } from '../../formats/safetensors-writer.ts';
import type { SavedFileResult } from '../result.ts';
import { writtenFile } from '../written-file.ts';
import type { TracedSubject } from './traced-subject.ts';
import type { AttentionInput } from './types.ts';

const FORMAT = 'tracer.attention';
const FORMAT_VERSION = '1';

/** Refuses an output that cannot be written before anything is computed. */
export async function checkOutput({ output }: Pick<AttentionInput, 'output'>): Promise<void> {
  if (output !== undefined) await checkWritable(output);
}

/** Nothing without `output`. */
export async function writeAttention(
  { output, signal }: Pick<AttentionInput, 'output' | 'signal'>,
  { prompt, nodes, tokens }: TracedSubject,
  tensors: readonly TensorToWrite[],
): Promise<SavedFileResult[]> {
  if (output === undefined) return [];
  const { list } = prompt;
  const sources = Array.from({ length: list.n_sources }, (_, source) => list.id(source, tokens));
  const metadata = {
    format: FORMAT,
    format_version: FORMAT_VERSION,
    sources: JSON.stringify(sources),
    provenance: JSON.stringify(nodes.provenance),
  };
  await writeSafetensors(output, tensors, metadata, { signal });
  return [await writtenFile(output)];
}

export function floats(name: string, shape: readonly number[], values: ArrayLike<number>): TensorToWrite {
  const data = values instanceof Float32Array ? values : Float32Array.from(values);
  return { name, dtype: 'F32', shape, data };
}

export function ints(name: string, shape: readonly number[], values: ArrayLike<number>): TensorToWrite {
  const data = values instanceof Int32Array ? values : Int32Array.from(values);
  return { name, dtype: 'I32', shape, data };
}
