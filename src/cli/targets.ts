/** The flags that say what a graph explains. At most one of them may be given. */
import * as v from 'valibot';
import type { TargetChoice } from '../attribution/targets.ts';
import { UsageError } from '../errors.ts';
import { jsonObject } from '../formats/json-object.ts';

export interface TargetFlags {
  readonly maxNLogits: number;
  readonly desiredLogitProb: number;
  readonly targetTokens?: number[];
  readonly targetStrings?: string[];
  readonly targets?: string;
  readonly targetDifference?: string[];
}

const DirectionsFile = v.array(
  jsonObject({ token_str: v.string(), prob: v.number(), vec: v.array(v.number()) }),
);

/** Throws `UsageError` for several of them, and what `readJson` throws for a file of directions. */
export async function readTargets(flags: TargetFlags): Promise<TargetChoice> {
  const given = Object.entries({
    '--target-tokens': flags.targetTokens,
    '--target-strings': flags.targetStrings,
    '--targets': flags.targets,
    '--target-difference': flags.targetDifference,
  }).filter(([, value]) => value !== undefined);
  if (given.length > 1) {
    throw new UsageError({
      code: 'several_targets',
      message: `one kind of target is expected, found ${given.map(([flag]) => flag).join(' and ')}`,
      hint: 'Leave out all but one.',
    });
  }
  if (flags.targetTokens) return { kind: 'tokens', ids: flags.targetTokens };
  if (flags.targetStrings) return { kind: 'strings', texts: flags.targetStrings };
  if (flags.targetDifference) return difference(flags.targetDifference);
  if (flags.targets !== undefined) {
    const { readJson } = await import('../formats/json.ts');
    const file = await readJson(flags.targets, DirectionsFile);
    const directions = file.map(({ token_str, prob, vec }) => ({
      label: token_str,
      probability: prob,
      vector: vec,
    }));
    return { kind: 'custom', directions };
  }
  return { kind: 'most_likely', maxLogits: flags.maxNLogits, desiredProbability: flags.desiredLogitProb };
}

function difference(texts: readonly string[]): TargetChoice {
  const [plus, minus, ...more] = texts;
  if (plus !== undefined && minus !== undefined && more.length === 0)
    return { kind: 'difference', plus, minus };
  throw new UsageError({
    code: 'bad_value',
    message: `--target-difference: expected two tokens, found ${texts.length}`,
    hint: "Write it as --target-difference ' Austin' ' Dallas'.",
  });
}
