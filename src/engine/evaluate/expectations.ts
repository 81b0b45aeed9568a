/** Engine, `evaluate`: expectations on a result. A measure that is not defined meets none. */
import { ExpectationError } from '../../errors.ts';
import type { EvaluateRequest, EvaluateResult } from './types.ts';

/** Throws `ExpectationError` that names each measure that was not met, its layer and number. */
export function checkExpectations(request: EvaluateRequest, { layers, all }: EvaluateResult): void {
  const { expectExplainedVariance, expectLossRecovered, expectL0AtMost, expectKlAtMost } = request;
  const missed: string[] = [];
  const least = (name: string, found: number | null, wanted: number | undefined): void => {
    if (wanted === undefined || (found !== null && found >= wanted)) return;
    missed.push(`${name} is ${found ?? 'not defined'}, expected at least ${wanted}`);
  };
  const most = (name: string, found: number | null, wanted: number | undefined): void => {
    if (wanted === undefined || (found !== null && found <= wanted)) return;
    missed.push(`${name} is ${found ?? 'not defined'}, expected at most ${wanted}`);
  };
  for (const { layer, explained_variance, l0 } of layers) {
    least(`layer ${layer}: explained variance`, explained_variance, expectExplainedVariance);
    most(`layer ${layer}: L0, the active features a token,`, l0, expectL0AtMost);
  }
  least('all layers replaced: the share of the loss recovered', all.ce_recovered, expectLossRecovered);
  most('all layers replaced: KL', all.kl, expectKlAtMost);
  if (missed.length === 0) return;
  throw new ExpectationError({
    code: 'unexpected_measure',
    message: missed.join('; '),
    hint: '`tracer evaluate` without --expect… shows all measures; docs/evaluate.md says how to read them.',
  });
}
