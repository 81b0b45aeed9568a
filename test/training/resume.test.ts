/** A training that was killed and goes on leaves what one that was not killed leaves, byte by byte. */
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { appendFileSync, mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { LoopOptions, StepRecord } from '../../src/training/loop.ts';
import { modelOfVariables, modelParameters } from '../../src/training/model-parameters.ts';
import { Variables } from '../../src/training/parameters.ts';
import { Random } from '../../src/random.ts';
import { trainJointly } from '../../src/training/train-jointly.ts';
import { trainModel, type RowSource } from '../../src/training/train-model.ts';
import { trainTranscoders } from '../../src/training/train-transcoders.ts';
import { transcoderParameters } from '../../src/training/transcoder-parameters.ts';
import { curve } from '../../training/curve.ts';
import { openBackend, TEST_DEVICES } from '../support/backends.ts';
import { scratchFolder } from '../support/scratch.ts';
import { counting, SMALL } from './small.ts';

const folder = scratchFolder();
afterAll(() => folder[Symbol.dispose]());
beforeAll(async () => {
  jest.spyOn(console, 'log').mockReturnValue();
  await openBackend(TEST_DEVICES[0]!);
});

/** Features are revived after steps 50 and 100. */
const STEPS = 120;
const CHECKPOINT_EVERY = 10;

/** Thrown where a process would be killed: nothing that happens afterwards changes a file. */
class Killed extends Error {}

interface Moment {
  readonly when:
    /** In a step that draws its rows. */
    | 'in a step'
    /** When one feature was aimed anew and others were not. */
    | 'in a revival'
    /** While the line of the curve is written. */
    | 'in the line'
    /** When the line of the curve is written, and the checkpoint, if one is due, is not. */
    | 'after the line';
  readonly step: number;
}

/** Kills a training at a moment; without one it only counts. */
class Killer {
  /** Random numbers that were drawn in each step; 0 is what comes before the first one. */
  readonly draws: number[] = new Array<number>(STEPS + 2).fill(0);
  private readonly moment: Moment | undefined;
  private step = 0;

  constructor(moment?: Moment) {
    this.moment = moment;
  }

  private at(when: Moment['when'], step: number, before?: () => void): void {
    if (this.moment?.when !== when || this.moment.step !== step) return;
    before?.();
    throw new Killed();
  }

  random(seed: number): Random {
    const random = new Random(seed);
    const next = random.next.bind(random);
    random.next = () => {
      this.draws[this.step]! += 1;
      if (this.draws[this.step] === 2) this.at('in a revival', this.step);
      return next();
    };
    return random;
  }

  /** @param before batches that are drawn before the first step */
  rows(source: RowSource, before = 0): RowSource {
    let drawn = -before;
    return {
      batch: (n) => {
        this.at('in a step', ++drawn);
        return source.batch(n);
      },
    };
  }

  listeners(file: string, phase: string): Pick<LoopOptions, 'onStep' | 'onBegin'> {
    const { onBegin, onStep } = curve(file, phase);
    return {
      onBegin: async (done) => {
        await onBegin!(done);
        this.step = done + 1;
      },
      onStep: (record) => {
        this.at('in the line', record.step, () => appendFileSync(file, `{"phase":"${phase}","st`));
        onStep!(record);
        this.at('after the line', record.step);
        this.step++;
      },
    };
  }
}

function settings(place: string, killer: Killer) {
  return {
    steps: STEPS,
    peakRate: 1e-2,
    optimizer: { beta1: 0.9, beta2: 0.98, weightDecay: 0.1, clipNorm: 1 },
    rowsAStep: 8,
    n_silent: 3,
    activeFeatures: 2,
    checkpoint: join(place, 'state.safetensors'),
    checkpointEvery: CHECKPOINT_EVERY,
    ...killer.listeners(join(place, 'curve.jsonl'), 'a phase'),
  };
}

/** A training from its seeds; returns what it changes. */
type Training = (place: string, killer: Killer) => Promise<Float32Array[]>;

const D_TRANSCODER = 96;
/** Prompts 0 and 1 belong together, and 2 and 3; each gets the features of one of the other pair. */
const PAIRS = Float32Array.from({ length: 16 }, (_, i) => (i >> 3 === (i % 4) >> 1 ? 0.5 : 0));
const ACROSS = Float32Array.from({ length: 16 }, (_, i) => (((i >> 2) ^ 2) === i % 4 ? 1 : 0));

const TRAININGS: Readonly<Record<string, Training>> = {
  async model(place, killer) {
    const parameters = modelParameters(SMALL, new Random(1), {});
    await trainModel(SMALL, parameters, killer.rows(counting(2)), settings(place, killer));
    return parameters.map(({ values }) => values);
  },
  async transcoders(place, killer) {
    using variables = new Variables(modelParameters(SMALL, new Random(1), {}));
    const rows = killer.rows(counting(5), 4);
    const layers = await trainTranscoders(modelOfVariables(SMALL, variables), rows, {
      ...settings(place, killer),
      d_transcoder: D_TRANSCODER,
      random: killer.random(6),
    });
    return layers.flatMap(({ W_enc, W_dec, threshold }) => [W_enc.values, W_dec.values, threshold.values]);
  },
  async 'model and transcoders'(place, killer) {
    const parameters = modelParameters(SMALL, new Random(1), {});
    const start = new Random(3);
    const layers = Array.from({ length: SMALL.n_layers }, (_, l) => {
      const layer = transcoderParameters(l, D_TRANSCODER, SMALL.d_model);
      for (const { values } of [layer.W_enc, layer.W_dec])
        for (const i of values.keys()) values[i] = start.normal() / 4;
      return layer;
    });
    const drawn = new Random(8);
    const questions = () => ({
      prompts: [2, 5, 7, 9].map((subject) => [0, 1, 1 + ((subject + drawn.below(9)) % 11), 3]),
      position: 2,
      groups: PAIRS,
    });
    await trainJointly(SMALL, parameters, layers, killer.rows(counting(4)), {
      ...settings(place, killer),
      random: killer.random(7),
      weights: (step) => ({
        reconstruction: 1,
        replaced: step < 50 ? 0 : 0.5,
        interchange: step % 4 === 0 ? 1 : 0, // the slowest part
        exchangedReconstruction: 1,
        subjects: 1,
        sharing: 1,
      }),
      interchange: () => ({
        ...questions(),
        donors: null,
        sources: ACROSS,
        exchanged: drawn.pick(['all', 'shared instead']),
        isReplaced: drawn.below(2) === 1,
        answers: Int32Array.of(4, 4, 6, 6),
      }),
      questions,
    });
    const steered = layers.flatMap(({ W_enc, W_dec, threshold }) => [W_enc, W_dec, threshold]);
    return [...parameters, ...steered].map(({ values }) => values);
  },
};

/** One after the other: what a run that was killed at one of them left is gone on with up to the next. */
const MOMENTS: readonly Moment[] = [
  { when: 'after the line', step: 9 },
  { when: 'in a step', step: 35 },
  { when: 'after the line', step: 40 },
  { when: 'in a revival', step: 50 },
  { when: 'in the line', step: 55 },
  { when: 'in a step', step: 61 },
  { when: 'after the line', step: 79 },
  { when: 'in a revival', step: 100 },
  { when: 'after the line', step: 120 },
];

function curveOf(place: string): Omit<StepRecord, 'seconds'>[] {
  const lines = readFileSync(join(place, 'curve.jsonl'), 'utf8').trimEnd().split('\n');
  return lines.map((line) => {
    const { seconds, ...rest } = JSON.parse(line) as StepRecord;
    expect(seconds).toBeGreaterThan(0);
    return rest;
  });
}

describe.each(Object.entries(TRAININGS))('the training of %s', (name, train) => {
  it('repeats itself after it was killed, wherever that was', async () => {
    const [whole, killed] = ['whole', 'killed'].map((title) => join(folder.path, `${name}, ${title}`));
    for (const place of [whole!, killed!]) mkdirSync(place);
    const counter = new Killer();
    const expected = await train(whole!, counter);
    const revives = name !== 'model';
    for (const step of [50, 100]) expect(counter.draws[step]! >= 2).toBe(revives);
    for (const moment of MOMENTS) {
      if (moment.when === 'in a revival' && !revives) continue;
      await expect(train(killed!, new Killer(moment))).rejects.toThrow(Killed);
    }
    const found = await train(killed!, new Killer());
    for (const [i, { buffer }] of expected.entries())
      expect(Buffer.from(found[i]!.buffer).equals(Buffer.from(buffer))).toBe(true);
    const state = (place: string): Buffer => readFileSync(join(place, 'state.safetensors'));
    expect(state(killed!).equals(state(whole!))).toBe(true);
    expect(curveOf(killed!)).toEqual(curveOf(whole!));
  }, 300_000);
});

describe('a checkpoint', () => {
  it('of a run of another length is refused: its learning rates were others', async () => {
    const parameters = modelParameters(SMALL, new Random(1), {});
    const train = (steps: number) =>
      trainModel(SMALL, parameters, counting(2), { ...settings(folder.path, new Killer()), steps });
    await train(4);
    await expect(train(5)).rejects.toMatchObject({
      code: 'other_checkpoint',
      message: expect.stringMatching(/4 steps.*5/) as unknown,
    });
  });
});
