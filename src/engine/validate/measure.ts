/** Engine, `graph validate` of a circuit: what becomes of a prompt's answer with the circuit's features alone, and without them. */
import { observeFeatures } from '../../intervention/observe.ts';
import { changedPass, originalPass } from '../../intervention/intervene.ts';
import type { Freeze, OriginalPass } from '../../intervention/freeze.ts';
import { InterventionPlan } from '../../intervention/plan.ts';
import type { ResolvedIntervention } from '../../intervention/resolve.ts';
import { largestIndices } from '../../model/logits.ts';
import type { HookName } from '../../model/hooks.ts';
import type { Random } from '../../random.ts';
import type { PlacedFeature } from '../study/consensus.ts';
import type { Session } from '../session.ts';
import type { AnswerReading, CircuitMeasure } from './types.ts';
import { BEFORE_CAP, readTarget } from './validate.ts';

/** Draws of random features for each prompt; with many prompts their mean is that of many draws. */
const N_RANDOM = 3;
const OFF = { kind: 'set', value: 0 } as const;

/** A feature that is active at a position. */
interface ActiveFeature extends Pick<PlacedFeature, 'layer' | 'feature'> {
  readonly position: number;
}

export interface MeasuredCircuit {
  readonly features: readonly PlacedFeature[];
  readonly freeze: Freeze;
  readonly random: Random;
  readonly signal: AbortSignal | undefined;
}

/**
 * Switches features off that are active in the unchanged pass, at their positions: others than the circuit's, all, the circuit's, and as
 * many drawn at random. What only becomes active through this is left as it is.
 * @param answer a token; null: the most likely one of the unchanged pass
 */
export async function measureCircuit(
  session: Session,
  tokens: readonly number[],
  answer: number | null,
  circuit: MeasuredCircuit,
): Promise<CircuitMeasure> {
  const { replacement, stopwatch } = session;
  const { freeze, random, signal } = circuit;
  const options = {
    logits: 'last' as const,
    capture: (name: HookName): boolean => name === BEFORE_CAP,
    ...(signal && { signal }),
  };
  using original = await stopwatch.time('original', () => originalPass(replacement, tokens, freeze, options));
  const logits = await original.lastLogits();
  await session.checkFinite(logits, 'the logits');
  const token = answer ?? largestIndices(logits, 1)[0]!;
  const active = await stopwatch.time('encode', () => activeFeatures(session, original, tokens, signal));
  const own = new Set(circuit.features.map((one) => addressAt(one, tokens.length)));
  const isOwn = (one: ActiveFeature): boolean => own.has(address(one));
  const without = async (off: readonly ActiveFeature[]): Promise<AnswerReading> => {
    if (off.length === 0) return await readAnswer(original, token);
    using plan = await InterventionPlan.of(replacement, off.map(switchedOff));
    using changed = await stopwatch.time('ablate', () =>
      changedPass(replacement, tokens, plan, freeze, original, { ...options, inputLayers: [] }),
    );
    return await readAnswer(changed, token);
  };
  const members = active.filter(isOwn);
  const measured = {
    all: await readAnswer(original, token),
    circuit: await without(active.filter((one) => !isOwn(one))),
    none: await without(active),
    without: await without(members),
  };
  const alone: AnswerReading[] = [];
  const lacking: AnswerReading[] = [];
  for (let draw = 0; draw < N_RANDOM; draw++) {
    const order = random.shuffled(active);
    alone.push(await without(order.slice(members.length)));
    lacking.push(await without(order.slice(0, members.length)));
  }
  return {
    token_id: token,
    n_circuit: members.length,
    n_active: active.length,
    ...measured,
    random: meanOf(alone),
    without_random: meanOf(lacking),
  };
}

async function activeFeatures(
  { replacement }: Session,
  pass: OriginalPass,
  tokens: readonly number[],
  signal: AbortSignal | undefined,
): Promise<ActiveFeature[]> {
  const ignored = replacement.ignoredPositions(tokens);
  const { indices, values } = await observeFeatures(replacement, pass.activations, { ignored, signal });
  return Array.from(values, (_, i) => ({
    layer: indices[3 * i]!,
    position: indices[3 * i + 1]!,
    feature: indices[3 * i + 2]!,
  }));
}

function switchedOff({ layer, position, feature }: ActiveFeature): ResolvedIntervention {
  return { layer, feature, start: position, stop: position + 1, change: OFF };
}

function address({ layer, position, feature }: ActiveFeature): string {
  return `${layer}:${position}:${feature}`;
}

function addressAt({ layer, place, feature }: PlacedFeature, n_pos: number): string {
  return address({ layer, feature, position: place < 0 ? n_pos + place : place });
}

async function readAnswer(pass: Parameters<typeof readTarget>[0], tokenId: number): Promise<AnswerReading> {
  const { centred, probability } = await readTarget(pass, tokenId);
  const [first] = largestIndices(await pass.lastLogits(), 1);
  return { logit: centred, probability, is_first: first === tokenId ? 1 : 0 };
}

function meanOf(readings: readonly AnswerReading[]): AnswerReading {
  const mean = (field: keyof AnswerReading): number =>
    readings.reduce((sum, one) => sum + one[field], 0) / readings.length;
  return { logit: mean('logit'), probability: mean('probability'), is_first: mean('is_first') };
}
