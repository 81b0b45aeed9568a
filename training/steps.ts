/** The steps of the training, with their settings. Each keeps a checkpoint in the run's folder, so that it can be resumed. */
import { join } from 'node:path';
import type { TransformerConfig } from '../src/model/config.ts';
import { modelOfVariables, modelParameters } from '../src/training/model-parameters.ts';
import { Variables, type Parameter } from '../src/training/parameters.ts';
import { Random } from '../src/random.ts';
import { trainJointly, type LossWeights } from '../src/training/train-jointly.ts';
import { trainModel } from '../src/training/train-model.ts';
import { trainTranscoders } from '../src/training/train-transcoders.ts';
import type { TranscoderParameters } from '../src/training/transcoder-parameters.ts';
import { interchangeSource, questionSource } from './corpus/interchanges.ts';
import { nameTokens, type Prepared } from './corpus/prepare.ts';
import { RowStream } from './corpus/stream.ts';
import { curve } from './curve.ts';
import { N_FEATURES, shapeOf } from './shape.ts';

export interface Run {
  readonly folder: string;
  readonly seed: number;
  /** Factor on the number of steps: small for tests, 1 for the shipped model. */
  readonly stepsScale: number;
  readonly prepared: Prepared;
}

const BETAS = { beta1: 0.9, beta2: 0.98, clipNorm: 1 };

/** Tokens that no sentence holds: their embedding is 0. */
export function silentTokens({ tokenizer, used }: Prepared): number {
  return tokenizer.vocabularySize - used.length;
}

export function scaled(run: Run, steps: number): number {
  return Math.max(2, Math.round(steps * run.stepsScale));
}

function curveOf(run: Run, phase: string) {
  return curve(join(run.folder, 'curve.jsonl'), phase);
}

/** The model's parameters at their start. Names keep their random embedding, so that facts have to be looked up by MLPs. */
export function startModel(run: Run): { config: TransformerConfig; parameters: Parameter[] } {
  const config = shapeOf(run.prepared.used.length);
  const frozenEmbeddings = nameTokens(run.prepared);
  return { config, parameters: modelParameters(config, new Random(run.seed), { frozenEmbeddings }) };
}

export async function modelStep(run: Run, config: TransformerConfig, parameters: Parameter[]): Promise<void> {
  const { trained, facts } = run.prepared;
  await trainModel(config, parameters, new RowStream(trained, facts, new Random(run.seed + 1)), {
    steps: scaled(run, 1400),
    peakRate: 3e-3,
    optimizer: { ...BETAS, weightDecay: 0.3 },
    rowsAStep: 192,
    n_silent: silentTokens(run.prepared),
    checkpoint: join(run.folder, 'model-step.safetensors'),
    ...curveOf(run, 'model'),
  });
}

/** Active features a token and layer: the limit is 8, and the last steps end a little above their target. */
const ACTIVE_FEATURES = 7.7;

export async function transcoderStep(
  run: Run,
  config: TransformerConfig,
  parameters: readonly Parameter[],
): Promise<TranscoderParameters[]> {
  const { trained, facts } = run.prepared;
  using variables = new Variables(parameters);
  const model = modelOfVariables(config, variables);
  try {
    return await trainTranscoders(model, new RowStream(trained, facts, new Random(run.seed + 2)), {
      steps: scaled(run, 500),
      peakRate: 2e-3,
      optimizer: { ...BETAS, beta2: 0.99, weightDecay: 0 },
      rowsAStep: 128,
      d_transcoder: N_FEATURES,
      activeFeatures: ACTIVE_FEATURES,
      random: new Random(run.seed + 3),
      checkpoint: join(run.folder, 'transcoder-step.safetensors'),
      ...curveOf(run, 'transcoders'),
    });
  } finally {
    const norms = [...model.blocks.flatMap((block) => Object.values(block.norms)), model.ln_final];
    for (const { parameters } of norms) parameters.w.dispose();
  }
}

/** Two-hop answers are known by now: with many repetitions the model would memorise them instead of combining two facts. */
const JOINT_WEIGHTS = { two_hop: 4, city_state: 34 };

/** First the transcoders learn to reconstruct the outputs; the loss with all MLPs replaced is added later. */
const REPLACING_FROM = 0.2;
const REPLACING_MORE_FROM = 0.5;

const JOINT_LOSSES = {
  reconstruction: 1.5,
  interchange: 1,
  exchangedReconstruction: 2,
  subjects: 3,
  sharing: 1,
};

function jointWeights(step: number, steps: number): LossWeights {
  return step < REPLACING_FROM * steps
    ? { ...JOINT_LOSSES, replaced: 0 }
    : { ...JOINT_LOSSES, replaced: step < REPLACING_MORE_FROM * steps ? 0.5 : 1 };
}

export async function jointStep(
  run: Run,
  config: TransformerConfig,
  parameters: readonly Parameter[],
  layers: readonly TranscoderParameters[],
): Promise<void> {
  const { trained, facts } = run.prepared;
  const corpus = new RowStream(trained, facts, new Random(run.seed + 4), JOINT_WEIGHTS);
  await trainJointly(config, parameters, layers, corpus, {
    steps: scaled(run, 900),
    peakRate: 1.2e-3,
    optimizer: { ...BETAS, weightDecay: 0.3 },
    rowsAStep: 128,
    n_silent: silentTokens(run.prepared),
    activeFeatures: ACTIVE_FEATURES,
    random: new Random(run.seed + 5),
    weights: jointWeights,
    interchange: interchangeSource(run.prepared, new Random(run.seed + 6)),
    questions: questionSource(run.prepared, new Random(run.seed + 7)),
    checkpoint: join(run.folder, 'joint-step.safetensors'),
    ...curveOf(run, 'joint'),
  });
}
