/** Instruction sets of the processor that decide whether bfloat16 arithmetic is faster than float32. */
import { existsSync, readFileSync } from 'node:fs';

/** Linux' names of the instruction sets that multiply or convert bfloat16, which TensorFlow's oneDNN uses. */
const BFLOAT16_FLAGS = ['avx512_bf16', 'amx_bf16', 'avx_ne_convert'];

/** Those that this processor has; empty also where it cannot be told. */
export function bfloat16Instructions(): string[] {
  const path = '/proc/cpuinfo';
  if (!existsSync(path)) return [];
  const flags = /^flags\s*:(.*)$/m.exec(readFileSync(path, 'utf8'))?.[1]?.split(' ') ?? [];
  return BFLOAT16_FLAGS.filter((flag) => flags.includes(flag));
}
