/** The GGUF fixtures (`test/fixtures/gguf/make.py`). */
import { existsSync } from 'node:fs';
import path from 'node:path';
import { openFileSource } from '../../src/formats/byte-source.ts';
import type { FileSet } from '../../src/model/file-set.ts';
import { withGguf } from '../../src/model/gguf-files.ts';

const ROOT = path.join(import.meta.dirname, '../fixtures/gguf');

/** Blocks of every packed type, and golden checkpoints. */
export function gguf(name: 'packed' | 'llama' | 'qwen2' | 'qwen3' | 'gemma2' | 'gemma3'): string {
  return path.join(ROOT, `${name}.gguf`);
}

/** Golden checkpoints that are there as GGUF files too, and their sets. */
export const GGUF_FAMILIES = {
  llama: ['families/llama', 'plt-relu-skip'],
  qwen2: ['families/qwen2', 'plt-jumprelu'],
  qwen3: ['families/qwen3', 'plt-relu'],
  gemma2: ['tiny-a', 'plt-jumprelu'],
  gemma3: ['families/gemma3', 'plt-jumprelu'],
} as const;
export type GgufFamily = keyof typeof GGUF_FAMILIES;

/** The model of a GGUF file, as the rooms of model and tokenizer read it. */
export function ggufModel(file: string): FileSet {
  const [folder, name] = [path.dirname(file), path.basename(file)];
  const files: FileSet = {
    name: file,
    has: (each) => each !== 'config.json' && existsSync(path.join(folder, each)),
    open: (each) => openFileSource(path.join(folder, each)),
  };
  return withGguf(files, [name]);
}
