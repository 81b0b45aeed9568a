import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { buildFeatures } from '../../src/engine/features/build.ts';
import type { FeaturesBuildRequest } from '../../src/engine/features/types.ts';
import { inspect } from '../../src/engine/inspect/inspect.ts';
import { BadFileError, ExhaustedError, UsageError } from '../../src/errors.ts';
import { openSession } from '../../src/engine/session.ts';
import { openFolderPages } from '../../src/features/folder-pages.ts';
import { goldenSession } from '../engine/golden-session.ts';
import { copyFixture } from '../support/damage.ts';
import { goldenPath, IS_FULL, prompts } from '../support/golden.ts';
import { brutePages } from './brute-force.ts';

const folder = mkdtempSync(join(tmpdir(), 'tracer-build-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** Documents of different lengths, some of which come twice. */
const N_DOCUMENTS = IS_FULL ? 60 : 28;
const DOCUMENTS = Array.from({ length: N_DOCUMENTS }, (_, i) => {
  const { p1, p2, p3 } = prompts('tiny-a');
  return [p1.text, p2.text.slice(i % 7), `${i} ${p3.text} ${p1.text}`, 'to'][i % 4]!.replaceAll('\n', ' ');
});

function corpus(name: string, lines: readonly string[] = DOCUMENTS): string {
  const path = join(folder, name);
  const isJson = name.endsWith('.jsonl');
  writeFileSync(path, lines.map((text) => `${isJson ? JSON.stringify({ text }) : text}\n`).join(''));
  return path;
}

function request(set: string, name: string, more: Partial<FeaturesBuildRequest> = {}): FeaturesBuildRequest {
  return {
    model: goldenPath('tiny-a', 'model'),
    transcoders: goldenPath('tiny-a', 'transcoders', set),
    device: 'wasm',
    offline: true,
    corpus: corpus('corpus.txt'),
    output: join(folder, name),
    context: 16,
    examples: 3,
    logits: 4,
    ...more,
  };
}

const contents = (name: string): Record<string, string> =>
  Object.fromEntries(
    readdirSync(join(folder, name)).map((file) => [file, readFileSync(join(folder, name, file), 'base64')]),
  );

describe.each(['plt-jumprelu', 'plt-topk', 'clt'])('pages that are built (%s)', (set) => {
  it('are those of a plain computation that holds everything', async () => {
    const result = await buildFeatures(request(set, set));
    using session = await goldenSession('tiny-a', set);
    const expected = await brutePages(session, DOCUMENTS, { context: 16, n_examples: 3 });
    const pages = (await openFolderPages(join(folder, set), ''))!;
    let n_active = 0;
    for (const [layer, row] of expected.entries()) {
      for (const [feature, one] of row.entries()) {
        const page = await pages.page(layer, feature);
        expect(page).toMatchObject(one);
        n_active += page!.act_max === 0 ? 0 : 1;
      }
    }
    expect(n_active).toBeGreaterThan(50);
    expect(result.n_documents).toBe(N_DOCUMENTS);
    expect(result.layers.reduce((sum, layer) => sum + layer.n_active, 0)).toBeGreaterThanOrEqual(n_active);
    expect(existsSync(join(folder, set, '.build'))).toBe(false);
  });

  it('name the tokens that inspect names', async () => {
    for (const [layer, feature] of [
      [0, 5],
      [2, 17],
    ] as const) {
      const page = (await (await openFolderPages(join(folder, set), ''))!.page(layer, feature))!;
      const shown = await inspect({
        ...request(set, set),
        show: { view: 'feature', layer, feature, top: 4 },
        features: join(folder, set),
      });
      if (shown.view !== 'feature') throw new Error('a feature was asked for');
      expect(page.top_logits).toEqual(shown.promotes.map(({ text }) => text));
      expect(page.bottom_logits).toEqual(shown.suppresses.map(({ text }) => text));
      expect(shown.page?.largest_activation).toBe(page.act_max);
    }
  });
});

describe('a build', () => {
  const set = 'plt-jumprelu';

  it('reads JSON Lines like text, and writes single layers beside others', async () => {
    await buildFeatures(request(set, 'whole'));
    const jsonl = corpus('corpus.jsonl');
    await buildFeatures(request(set, 'parts', { corpus: jsonl, layers: { from: 2, to: 4 } }));
    expect(readdirSync(join(folder, 'parts')).sort()).toEqual([
      'index.json.gz',
      'layer_2.bin',
      'layer_3.bin',
    ]);
    await buildFeatures(request(set, 'parts', { corpus: jsonl, layers: { from: 0, to: 2 } }));
    expect(contents('parts')).toEqual(contents('whole'));
  });

  it('takes documents of token ids as they are', async () => {
    using session = await openSession(request(set, 'whole'));
    const { tokenizer } = session;
    const lines = DOCUMENTS.map((text) => [tokenizer.bosId, ...tokenizer.encode(text)]);
    const ids = join(folder, 'ids.jsonl');
    writeFileSync(ids, lines.map((tokens) => `${JSON.stringify({ tokens })}\n`).join(''));
    const whole = { context: 1 + Math.max(...lines.map(({ length }) => length)) };
    await buildFeatures(request(set, 'of-text', whole));
    await buildFeatures(request(set, 'of-ids', { ...whole, corpus: ids }));
    expect(contents('of-ids')).toEqual(contents('of-text'));
  });

  it('that is stopped anywhere and resumed writes the same files, and reads nothing twice', async () => {
    let n_stops = 0;
    for (const after of IS_FULL ? [1, 17, 40] : [1, 8, 15]) {
      const stop = new AbortController();
      let read = 0;
      const stopped = buildFeatures({
        ...request(set, 'stopped', { resume: true }),
        signal: stop.signal,
        onProgress: (event) => {
          if (event.kind === 'progress' && event.phase === 'corpus' && ++read > after)
            stop.abort(new Error('stop'));
        },
      });
      await expect(stopped).rejects.toThrow('stop');
      n_stops++;
      expect(readdirSync(join(folder, 'stopped'))).toEqual(['.build']);
    }
    const inPages = new AbortController();
    const stopped = buildFeatures({
      ...request(set, 'stopped', { resume: true }),
      signal: inPages.signal,
      onProgress: (event) => {
        if (event.kind === 'progress' && event.phase === 'pages' && event.done === 200)
          inPages.abort(new Error('stop'));
      },
    });
    await expect(stopped).rejects.toThrow('stop');
    expect(readdirSync(join(folder, 'stopped')).sort()).toEqual(['.build', 'layer_0.bin']);
    const firstLayer = statSync(join(folder, 'stopped/layer_0.bin')).mtimeMs;
    const result = await buildFeatures(request(set, 'stopped', { resume: true }));
    expect(n_stops).toBe(3);
    expect(result.n_resumed_windows).toBe(result.n_windows);
    expect(statSync(join(folder, 'stopped/layer_0.bin')).mtimeMs).toBe(firstLayer);
    expect(contents('stopped')).toEqual(contents('whole'));
  });

  it('is gone on with only when asked to, and only with the same corpus and options', async () => {
    const stop = new AbortController();
    const onProgress: FeaturesBuildRequest['onProgress'] = (event) => {
      if (event.kind === 'progress' && event.phase === 'corpus' && (event.done ?? 0) > 500)
        stop.abort(new Error('stop'));
    };
    const stopped = buildFeatures({ ...request(set, 'kept'), signal: stop.signal, onProgress });
    await expect(stopped).rejects.toThrow('stop');
    const again = (more: Partial<FeaturesBuildRequest>) => buildFeatures(request(set, 'kept', more));
    await expect(again({})).rejects.toMatchObject({ code: 'build_interrupted' });
    await expect(again({ resume: true, examples: 5 })).rejects.toThrow('examples is 3, expected 5');
    const other = corpus('other.txt', [...DOCUMENTS, 'one more']);
    await expect(again({ resume: true, corpus: other })).rejects.toMatchObject({ code: 'other_build' });
    const state = join(folder, 'kept/.build/state.safetensors');
    const bytes = readFileSync(state);
    writeFileSync(state, bytes.subarray(0, bytes.length - 100));
    await expect(again({ resume: true })).rejects.toThrow(BadFileError);
    writeFileSync(state, bytes);
    writeFileSync(join(folder, 'kept/.build/examples.spool'), 'cut');
    await expect(again({ resume: true })).rejects.toThrow('examples.spool is damaged');
  });

  it('holds the same for a corpus that is four times as long', async () => {
    const short = await buildFeatures(request(set, 'short', { logits: 0 }));
    const long = corpus('long.txt', Array.from({ length: 4 }, () => DOCUMENTS).flat());
    let largestState = 0;
    const result = await buildFeatures(
      request(set, 'long', {
        corpus: long,
        logits: 0,
        onProgress: (event) => {
          if (event.kind === 'progress' && event.phase === 'pages' && event.done === 1) {
            largestState = statSync(join(folder, 'long/.build/state.safetensors')).size;
          }
        },
      }),
    );
    expect(result.n_tokens).toBe(4 * short.n_tokens);
    expect(result.state_bytes).toBe(short.state_bytes);
    // The state on disk is all that is held, but for the names of its arrays.
    expect(largestState).toBeGreaterThan(0);
    expect(largestState).toBeLessThan(result.state_bytes + 8192);
  });

  it('is refused when what it has to hold is more than --max-memory', async () => {
    const refused = buildFeatures(request(set, 'large', { maxMemoryBytes: 10_000 }));
    await expect(refused).rejects.toThrow(ExhaustedError);
    await expect(refused).rejects.toHaveProperty('hint', expect.stringContaining('--layers'));
    expect(existsSync(join(folder, 'large/index.json.gz'))).toBe(false);
  });

  it.each([
    ['empty', ''],
    ['blank', '\n  \n\n'],
  ])('of a corpus that is %s is refused, and leaves nothing', async (name, text) => {
    const path = join(folder, `${name}.txt`);
    writeFileSync(path, text);
    await expect(buildFeatures(request(set, `none-${name}`, { corpus: path }))).rejects.toMatchObject({
      code: 'empty_corpus',
    });
    expect(existsSync(join(folder, `none-${name}`, '.build'))).toBe(false);
  });

  it('is refused for layers that the set lacks, where it has none of those that are named', async () => {
    using copy = copyFixture('tiny-a');
    rmSync(join(copy.set, 'layer_1.safetensors'));
    const build = (from: number, to: number) =>
      buildFeatures(
        request(set, 'lacking', { transcoders: copy.set, allowMissingLayers: true, layers: { from, to } }),
      );
    await expect(build(1, 2)).rejects.toMatchObject({
      exitCode: 2,
      message: '--layers 1:2: the set has no transcoder for this layer',
      hint: 'It has those of 0, 2, 3.',
    });
    expect((await build(0, 2)).layers.map(({ layer }) => layer)).toEqual([0]);
  });

  it('is refused for layers and windows that the model does not have, and without a place for its files', async () => {
    const refused = (more: Partial<FeaturesBuildRequest>) => buildFeatures(request(set, 'refused', more));
    await expect(refused({ layers: { from: 2, to: 9 } })).rejects.toThrow('--layers 2:9');
    await expect(refused({ layers: { from: 2, to: 2 } })).rejects.toThrow(UsageError);
    await expect(refused({ context: 100_000 })).rejects.toThrow('--context');
    await expect(
      buildFeatures({ corpus: corpus('corpus.txt'), model: 'embedded', device: 'wasm' }),
    ).rejects.toMatchObject({ code: 'nowhere_to_write' });
  });
});
