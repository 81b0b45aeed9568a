/** The flags that say what a graph explains. At most one of them may be given. */
import type { Command } from 'commander';
import * as v from 'valibot';
import type { TargetChoice } from '../attribution/targets.ts';
import { ATTRIBUTE_DEFAULTS } from '../engine/attribute/types.ts';
import { UsageError } from '../errors.ts';
import { jsonObject } from '../formats/json-object.ts';
import { probability, signedNumber, tokenIds, wholeNumber } from './values.ts';

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

/** The ways to say what is explained. */
export function withTargetFlags(command: Command): Command {
  const defaults = ATTRIBUTE_DEFAULTS;
  return command
    .option(
      '--max-n-logits <n>',
      'most likely tokens to explain',
      wholeNumber('--max-n-logits', 1),
      defaults.maxLogits,
    )
    .option(
      '--desired-logit-prob <p>',
      'explain tokens until their probabilities add up to this',
      probability('--desired-logit-prob'),
      defaults.desiredProbability,
    )
    .option('--target-tokens <ids>', 'explain these token ids: 315,541', tokenIds('--target-tokens'))
    .option('--target-strings <text...>', "explain these tokens: ' to' 'hn'")
    .option('--targets <file>', 'explain directions: JSON [{"token_str":…,"prob":…,"vec":[…]}]')
    .option('--target-difference <text...>', "explain the difference of two logits: ' Austin' ' Dallas'")
    .option(
      '--target-position <pos>',
      'explain this position, -2 for the last but one',
      signedNumber('--target-position'),
    );
}

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
