import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import * as tf from '@tensorflow/tfjs-core';
import { cpSync, existsSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { evaluate, evaluateIn } from '../../src/engine/evaluate/evaluate.ts';
import type { EvaluateRequest, EvaluateResult } from '../../src/engine/evaluate/types.ts';
import { openSession } from '../../src/engine/session.ts';
import { windowsOf } from '../../src/features/build.ts';
import { alteredSet } from '../engine/altered-set.ts';
import { TEST_DEVICES, type TestDevice } from '../support/backends.ts';
import { goldenPath, IS_FULL, LAYOUT_FIXTURES, prompts, type Fixture } from '../support/golden.ts';
import { plainMeasures } from './plain.ts';

const folder = mkdtempSync(join(tmpdir(), 'tracer-evaluate-'));
const cache = process.env['XDG_CACHE_HOME'];
beforeAll(() => {
  process.env['XDG_CACHE_HOME'] = join(folder, 'cache');
});
afterAll(() => {
  if (cache === undefined) delete process.env['XDG_CACHE_HOME'];
  else process.env['XDG_CACHE_HOME'] = cache;
  rmSync(folder, { recursive: true, force: true });
});

const CONTEXT = 16;

/** Of different lengths, so that windows of a batch are padded and one document has several. */
const DOCUMENTS = (() => {
  const { p1, p2, p3 } = prompts('tiny-a');
  return [p1.text, p2.text, `${p3.text} ${p1.text}`, 'to', `${p2.text} ${p3.text}`].map((text) =>
    text.replaceAll('\n', ' '),
  );
})();

function corpus(name: string, documents: readonly string[] = DOCUMENTS): string {
  const path = join(folder, name);
  const isJson = name.endsWith('.jsonl');
  writeFileSync(path, documents.map((text) => `${isJson ? JSON.stringify({ text }) : text}\n`).join(''));
  return path;
}

const CORPUS = corpus('corpus.txt');

function request(
  set: string,
  more: Partial<EvaluateRequest> = {},
  fixture: Fixture = 'tiny-a',
): EvaluateRequest {
  return {
    model: goldenPath(fixture, 'model'),
    transcoders: goldenPath(fixture, 'transcoders', set),
    device: 'wasm',
    offline: true,
    corpus: [CORPUS],
    context: CONTEXT,
    ...more,
  };
}

/** Without what differs between two runs of the same work. */
function numbersOf({
  timings_ms: _t,
  peak_rss_bytes: _p,
  n_resumed_tokens: _r,
  corpus: _c,
  ...rest
}: EvaluateResult) {
  return rest;
}

/** Numbers that other batches of the same streams give. */
function closeTo(measures: object): object {
  return Object.fromEntries(
    Object.entries(measures).map(([name, value]) => [
      name,
      name === 'ce_recovered' ? expect.any(Number) : expect.closeTo(value as number, 4),
    ]),
  );
}

/** Differences of float32 passes; the measures themselves are sums in float64. */
const DIGITS = 4;

/** Every layout and activation function; blocks with learned positions, in parallel, with experts; cross-layer sets with skips. */
const ALL_SUBJECTS: readonly (readonly [Fixture, string, readonly TestDevice[]])[] = [
  ...['plt-jumprelu', 'plt-relu-skip', 'plt-topk', 'clt', 'gemmascope'].map(
    (set) => ['tiny-a', set, TEST_DEVICES] as const,
  ),
  ...LAYOUT_FIXTURES.map((fixture) => [fixture, 'set', TEST_DEVICES.slice(0, 1)] as const),
  ...(
    [
      ['families/gpt2', 'plt-jumprelu'],
      ['families/gpt-neox', 'plt-jumprelu'],
      ['families/gpt-oss', 'clt'],
      ['families/gemma3', 'clt-affine'],
      ['families/llama', 'plt-relu-skip'],
    ] as const
  ).map(([fixture, set]) => [fixture, set, TEST_DEVICES.slice(0, 1)] as const),
];

/** Of a skip, TopK, a cross-layer set, one that writes before a norm, and a parallel block, the first on each device; `npm run test:full` takes all. */
const FEW = ['tiny-a plt-relu-skip', 'tiny-a clt', 'layouts/crv set', 'families/gpt-neox plt-jumprelu'];
const SUBJECTS = IS_FULL
  ? ALL_SUBJECTS
  : ALL_SUBJECTS.filter(([fixture, set]) => FEW.includes(`${fixture} ${set}`)).map(
      ([fixture, set, devices], i) => [fixture, set, i === 0 ? devices : devices.slice(0, 1)] as const,
    );

describe.each(SUBJECTS)('measures of %s %s', (fixture, set, devices) => {
  it.each(devices)('are those of their definitions on %s', async (device) => {
    using session = await openSession(request(set, { device }, fixture));
    const { tokenizer } = session;
    expect(session.prompts.rule.n_ignored).toBe(1);
    const found = await evaluateIn(session, request(set, {}, fixture));
    const windows = DOCUMENTS.flatMap((text) =>
      windowsOf({ text }, { tokenizer, bosId: tokenizer.bosId, context: CONTEXT }),
    );
    const expected = await plainMeasures(session, windows);
    const n_tokens = windows.reduce((sum, window) => sum + window.length - 1, 0);
    expect(found).toMatchObject({ n_tokens, n_predictions: n_tokens, n_windows: windows.length });
    expect(found.n_documents).toBe(DOCUMENTS.length);
    const close = (numbers: object): object =>
      Object.fromEntries(
        Object.entries(numbers).map(([name, value]) => [name, expect.closeTo(value as number, DIGITS)]),
      );
    // A quotient of small differences has fewer digits.
    const loose = ({ ce_recovered: _, ...numbers }: { ce_recovered: number }): object => close(numbers);
    expect(found.all).toMatchObject(loose(expected.all));
    for (const [layer, measures] of expected.layers.entries()) {
      expect(found.layers[layer]).toMatchObject({ layer, ...loose(measures) });
      const { ce_recovered, ce_replaced, ce_mean_ablated } = found.layers[layer]!;
      const { ce_clean } = found.all;
      expect(ce_recovered).toBeCloseTo((ce_mean_ablated! - ce_replaced!) / (ce_mean_ablated! - ce_clean!), 9);
    }
  });
});

describe('evaluate', () => {
  const set = 'plt-jumprelu';

  it('reads several files, JSON Lines and text, as one corpus', async () => {
    const whole = await evaluate(request(set));
    const parts = [corpus('a.jsonl', DOCUMENTS.slice(0, 2)), corpus('b.txt', DOCUMENTS.slice(2))];
    expect(numbersOf(await evaluate(request(set, { corpus: parts })))).toEqual(numbersOf(whole));
  });

  it('takes documents of token ids as they are', async () => {
    const whole = await evaluate(request(set, { context: 256 }));
    using session = await openSession(request(set));
    const { tokenizer } = session;
    const ids = join(folder, 'ids.jsonl');
    const lines = DOCUMENTS.map((text) => ({ tokens: [tokenizer.bosId, ...tokenizer.encode(text)] }));
    writeFileSync(ids, lines.map((line) => `${JSON.stringify(line)}\n`).join(''));
    const found = await evaluate(request(set, { corpus: [ids], context: 256 }));
    expect(numbersOf(found)).toEqual(numbersOf(whole));
  });

  it('measures exactly as many tokens as it is asked for, and says when there are fewer', async () => {
    const some = await evaluate(request(set, { tokens: 21 }));
    expect([some.n_tokens, some.n_predictions, some.warnings.length]).toEqual([21, 21, 0]);
    const all = await evaluate(request(set, { tokens: 100_000 }));
    expect(all.warnings).toEqual([
      `The corpus has only ${all.n_tokens} tokens to measure; 100000 were asked for.`,
    ]);
  });

  it('replaces single layers where asked to, and all of them together in any case', async () => {
    const whole = await evaluate(request(set));
    const some = await evaluate(request(set, { layers: [2, 0, 2] }));
    expect(some.all).toEqual(whole.all);
    for (const [i, layer] of some.layers.entries()) {
      const { ce_replaced, ce_mean_ablated, ce_recovered, kl, ...fidelity } = layer;
      expect(whole.layers[i]).toMatchObject(fidelity);
      const wanted = i === 0 || i === 2 ? whole.layers[i]!.ce_replaced : null;
      expect([ce_replaced === null, ce_mean_ablated === null, ce_recovered === null, kl === null]).toEqual(
        Array(4).fill(wanted === null),
      );
      if (wanted !== null) expect(ce_replaced).toBeCloseTo(wanted, 5);
    }
  });

  it('leaves layers without a transcoder as they are', async () => {
    const whole = await evaluate(request(set));
    const lacking = join(folder, 'lacking');
    cpSync(goldenPath('tiny-a', 'transcoders', set), lacking, { recursive: true });
    rmSync(join(lacking, 'layer_2.safetensors'));
    const more = { transcoders: lacking, allowMissingLayers: true };
    const some = await evaluate(request(set, more));
    expect(some.layers).toEqual([0, 1, 3].map((layer) => closeTo(whole.layers[layer]!)));
    expect(some.all.ce_clean).toBeCloseTo(whole.all.ce_clean!, 5);
    expect(some.all.ce_replaced).not.toBeCloseTo(whole.all.ce_replaced!, 3);
    const refused = evaluate(request(set, { ...more, layers: [2] }));
    await expect(refused).rejects.toThrow('the set has no transcoder for layer 2');
  });

  it('that is stopped anywhere and resumed gives the same numbers', async () => {
    const documents = Array.from(
      { length: IS_FULL ? 100 : 40 },
      (_, i) => `${i} ${DOCUMENTS[i % DOCUMENTS.length]!}`,
    );
    const long = [corpus('long.txt', documents)];
    const whole = await evaluate(request(set, { corpus: long }));
    const state = join(folder, 'state.safetensors');
    for (const phase of ['features', 'features', 'means']) {
      const stop = new AbortController();
      let read = 0;
      const stopped = evaluate({
        ...request(set, { corpus: long, state, resume: true }),
        signal: stop.signal,
        onProgress: (event) => {
          if (event.kind === 'progress' && event.phase === phase && ++read > 1) stop.abort(new Error('stop'));
        },
      });
      await expect(stopped).rejects.toThrow('stop');
      expect(existsSync(state)).toBe(true);
    }
    const again = (more: Partial<EvaluateRequest>) =>
      evaluate(request(set, { corpus: long, state, ...more }));
    await expect(again({})).rejects.toMatchObject({ code: 'evaluation_interrupted', exitCode: 2 });
    await expect(again({ resume: true, tokens: 50 })).rejects.toMatchObject({ code: 'other_evaluation' });
    const result = await again({ resume: true });
    expect(numbersOf(result)).toEqual(numbersOf(whole));
    expect(result.n_resumed_tokens).toBeGreaterThan(0);
    expect(existsSync(state)).toBe(false);
  });

  it('keeps its state in the cache folder by itself, and removes it at the end', async () => {
    const stop = new AbortController();
    const stopped = evaluate({
      ...request(set),
      signal: stop.signal,
      onProgress: (event) => {
        if (event.kind === 'progress' && event.phase === 'means') stop.abort(new Error('stop'));
      },
    });
    await expect(stopped).rejects.toThrow('stop');
    const states = (): string[] => readdirSync(join(folder, 'cache/tracer/evaluations'));
    expect(states()).toHaveLength(1);
    const result = await evaluate(request(set, { resume: true }));
    expect(states()).toEqual([]);
    expect(numbersOf(result)).toEqual(numbersOf(await evaluate(request(set))));
  });

  it('leaves no tensor behind, also when it is stopped', async () => {
    using session = await openSession(request('clt'));
    await evaluateIn(session, request('clt'));
    const before = tf.memory().numTensors;
    await evaluateIn(session, request('clt'));
    const stop = new AbortController();
    let read = 0;
    const stopped = evaluateIn(session, {
      ...request('clt'),
      signal: stop.signal,
      onProgress: (event) => {
        if (event.kind === 'progress' && ++read === 2) stop.abort(new Error('stop'));
      },
    });
    await expect(stopped).rejects.toThrow('stop');
    expect(tf.memory().numTensors).toBe(before);
  });

  it('names the layer and the number of an expectation that is not met', async () => {
    const { layers, all } = await evaluate(request(set));
    const worst = layers.reduce((a, b) => (b.explained_variance! < a.explained_variance! ? b : a));
    const met = {
      expectExplainedVariance: worst.explained_variance!,
      expectLossRecovered: all.ce_recovered!,
      expectL0AtMost: layers.reduce((most, { l0 }) => Math.max(most, l0!), 0),
      expectKlAtMost: all.kl!,
    };
    await expect(evaluate(request(set, met))).resolves.toMatchObject({ all });
    for (const [missed, words] of [
      [
        { expectExplainedVariance: worst.explained_variance! + 1e-6 },
        `layer ${worst.layer}: explained variance is ${worst.explained_variance}`,
      ],
      [{ expectLossRecovered: all.ce_recovered! + 1e-6 }, `recovered is ${all.ce_recovered}`],
      [{ expectL0AtMost: met.expectL0AtMost - 1e-6 }, `is ${met.expectL0AtMost}, expected at most`],
      [{ expectKlAtMost: all.kl! - 1e-6 }, `KL is ${all.kl}`],
    ] as const) {
      const failed = evaluate(request(set, { ...met, ...missed }));
      await expect(failed).rejects.toMatchObject({ exitCode: 6 });
      await expect(failed).rejects.toThrow(words);
    }
  });

  it.each([
    [{ transcoders: 'none' }, { exitCode: 2, code: 'no_transcoders' }],
    [{ corpus: [] }, { exitCode: 2, code: 'no_corpus' }],
    [{ corpus: ['/nowhere/corpus.txt'] }, { exitCode: 3 }],
    [{ layers: [4] }, { exitCode: 2, code: 'out_of_range' }],
    [{ layers: [-1] }, { exitCode: 2, code: 'out_of_range' }],
    [{ context: 1 }, { exitCode: 2, code: 'out_of_range' }],
    [{ context: 1_000_000 }, { exitCode: 2, code: 'out_of_range' }],
  ] as const)('refuses %j', async (more, error) => {
    await expect(evaluate(request(set, more))).rejects.toMatchObject(error);
  });

  it('refuses a corpus without text', async () => {
    for (const documents of [[], ['', '  ']]) {
      const empty = evaluate(request(set, { corpus: [corpus('empty.txt', documents)] }));
      await expect(empty).rejects.toMatchObject({ exitCode: 4, code: 'empty_corpus' });
    }
  });

  it.each(['W_enc', 'W_dec', 'b_dec'])('names the file of a NaN in %s', async (tensor) => {
    const damaged = await alteredSet('tiny-a', set, join(folder, `nan-${tensor}`), {
      tensor: (name, values, layer) => {
        if (name === tensor && layer === 1) values.fill(NaN);
      },
    });
    const failed = evaluate(request(set, { transcoders: damaged }));
    await expect(failed).rejects.toMatchObject({ exitCode: 4 });
    await expect(failed).rejects.toThrow(tensor);
  });
});
