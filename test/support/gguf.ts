/** The GGUF fixtures (`test/fixtures/gguf/make.py`). */
import path from 'node:path';

const ROOT = path.join(import.meta.dirname, '../fixtures/gguf');

/** Blocks of every packed type, and golden checkpoints. */
export function gguf(name: 'packed' | 'llama' | 'qwen2' | 'qwen3' | 'gemma2' | 'gemma3'): string {
  return path.join(ROOT, `${name}.gguf`);
}
