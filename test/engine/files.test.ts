/** Which files a name stands for: those that are read, from folders and from a Hub on loopback, and no others. */
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { pathToFileURL } from 'node:url';
import { describe, expect, it } from '@jest/globals';
import { load } from '../../src/engine/load/load.ts';
import { openSubject } from '../../src/engine/opened-subject.ts';
import { EXIT } from '../../src/errors.ts';
import { weightFiles } from '../../src/model/checkpoint.ts';
import { refusalOf } from '../formats/support.ts';
import { HubFixture } from '../hub/setup.ts';
import { copyFixture, editTensors, editText, type FixtureCopy } from '../support/damage.ts';
import { goldenPath, type Fixture } from '../support/golden.ts';
import { INDEX, shard, SHARDS } from '../support/sharding.ts';

const SMALL = ['config.json', 'special_tokens_map.json', 'tokenizer.json', 'tokenizer_config.json'];
const LAYERS = [0, 1, 2, 3].map((layer) => `layer_${layer}.safetensors`);

/** Every file below a folder, by its path. */
function filesOf(folder: string): Record<string, Buffer> {
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true }).filter((one) => one.isFile());
  return Object.fromEntries(
    entries.map((entry) => {
      const path = join(entry.parentPath, entry.name);
      return [relative(folder, path), readFileSync(path)];
    }),
  );
}

/** Changes the list of a set's files. */
function list(copy: FixtureCopy, yaml: string): void {
  editText(join(copy.set, 'config.yaml'), (text) => `${text}transcoders: ${yaml}\n`);
}

describe('A model in a folder', () => {
  it('is listed by the files that are read: the whole one, not the index and shards beside it', async () => {
    using copy = copyFixture('tiny-a');
    shard(copy.model, { keepWhole: true });
    writeFileSync(join(copy.model, 'model-of-another-kind.safetensors'), 'not looked at');
    const { files } = await load({ model: copy.model, transcoders: copy.set });
    expect(files.map(({ path }) => path).sort()).toEqual([...SMALL, 'model.safetensors', 'config.yaml', ...LAYERS].sort()); // prettier-ignore
  });

  it('is listed with its index and the shards that hold parameters', async () => {
    using copy = copyFixture('tiny-a');
    const paths = ['parts/a.safetensors', 'parts/b.safetensors'] as const;
    shard(copy.model, { paths: [...paths], index: (map) => (map['lm_head.weight'] = 'parts/c.safetensors') });
    writeFileSync(join(copy.model, 'parts/c.safetensors'), 'not looked at');
    const { files } = await load({ model: copy.model, transcoders: copy.set });
    expect(files.map(({ path }) => path).sort()).toEqual([...SMALL, INDEX, ...paths, 'config.yaml', ...LAYERS].sort()); // prettier-ignore
  });
});

describe('A set on the Hub, in the layout of another library', () => {
  const MODEL = 'golden/tiny-a';
  const SET = 'golden/another';
  const NAMES = { model: MODEL, transcoders: SET };

  async function onHub(fixture: Fixture, change: (set: Record<string, Buffer>) => void = () => undefined) {
    const hub = await HubFixture.start();
    hub.server.commit(MODEL, filesOf(goldenPath('tiny-a', 'model')));
    const set = filesOf(goldenPath(fixture, 'transcoders', 'set'));
    change(set);
    hub.server.commit(SET, {
      ...set,
      'README.md': 'not fetched',
      'other/weights.safetensors': 'not fetched',
    });
    return { hub, files: Object.keys(set).sort() };
  }
  const fetched = (hub: HubFixture): string[] => {
    const snapshots = join(hub.cacheDir, 'models--golden--another/snapshots');
    const root = join(snapshots, readdirSync(snapshots)[0]!);
    const names = readdirSync(root, { recursive: true, encoding: 'utf8' });
    return names.filter((name) => statSync(join(root, name)).isFile()).sort(); // of links
  };

  it.each(['layouts/sparsify', 'layouts/saelens-jumprelu', 'layouts/crv'] as const)(
    'is read over the network, then fetched with its files and no others, and is enough without the Hub: %s',
    async (fixture) => {
      const { hub, files } = await onHub(fixture);
      await using _hub = hub;
      {
        using dry = await openSubject(NAMES, { client: hub.client(), dryRun: true });
        expect(dry.set.layers.map(({ layer }) => layer)).toEqual([0, 1, 2, 3]);
        expect(dry.subject.transcoders.listed.map(({ path }) => path).sort()).toEqual(files);
      }
      expect(existsSync(join(hub.cacheDir, 'models--golden--another/snapshots'))).toBe(false);
      using opened = await openSubject(NAMES, { client: hub.client() });
      expect(fetched(hub)).toEqual(files);
      hub.server.inject('hub ', { kind: 'status', status: 503 }, 1000);
      using again = await openSubject(NAMES, { client: hub.client() });
      expect(again.set.paths).toEqual(opened.set.paths);
      using offline = await openSubject(NAMES, { client: hub.client({ offline: true }) });
      expect(offline.set.paths).toEqual(opened.set.paths);
    },
  );

  it('that is for another model is refused before a byte of its weights is fetched', async () => {
    const { hub } = await onHub('layouts/sparsify', (set) => {
      const config = JSON.parse(set['layers.0.mlp/cfg.json']!.toString()) as object;
      set['layers.0.mlp/cfg.json'] = Buffer.from(JSON.stringify({ ...config, d_in: 64 }));
    });
    await using _hub = hub;
    await expect(openSubject(NAMES, { client: hub.client() })).rejects.toMatchObject({
      exitCode: EXIT.badFile,
      message: expect.stringContaining('d_in is 64') as unknown,
    });
    expect(fetchedWeights(hub)).toEqual([]);
  });

  const fetchedWeights = (hub: HubFixture): string[] => {
    const root = join(hub.cacheDir, 'models--golden--another');
    return existsSync(root) ? Object.keys(filesOf(root)).filter((name) => name.endsWith('.safetensors')) : [];
  };

  it('of which the cache has a part is not taken for a set that lacks layers', async () => {
    const { hub } = await onHub('layouts/saelens');
    await using _hub = hub;
    (await openSubject(NAMES, { client: hub.client() }))[Symbol.dispose]();
    const snapshots = join(hub.cacheDir, 'models--golden--another/snapshots');
    rmSync(join(snapshots, readdirSync(snapshots)[0]!, 'layer_2'), { recursive: true });
    hub.server.inject('hub ', { kind: 'status', status: 503 }, 1000);
    for (const allowMissingLayers of [false, true]) {
      const request = { ...NAMES, allowMissingLayers };
      await expect(openSubject(request, { client: hub.client({ offline: true }) })).rejects.toMatchObject({
        exitCode: EXIT.network,
        message: expect.stringContaining('layer 2') as unknown,
      });
    }
  });
});

describe('A model on the Hub', () => {
  const MODEL = 'golden/tiny-a';
  const SET = 'golden/tiny-a-set';

  async function onHub(change: (copy: FixtureCopy) => void): Promise<HubFixture> {
    const hub = await HubFixture.start();
    using copy = copyFixture('tiny-a');
    change(copy);
    hub.server.commit(MODEL, filesOf(copy.model));
    hub.server.commit(SET, filesOf(copy.set));
    return hub;
  }
  const open = (hub: HubFixture) => openSubject({ model: MODEL, transcoders: SET }, { client: hub.client() });
  const cached = (hub: HubFixture): string[] => {
    const snapshots = join(hub.cacheDir, 'models--golden--tiny-a/snapshots');
    return readdirSync(join(snapshots, readdirSync(snapshots)[0]!), {
      recursive: true,
      encoding: 'utf8',
    }).sort();
  };

  it('is fetched as the whole file alone, and the shards beside it are not asked for', async () => {
    await using hub = await onHub((copy) => void shard(copy.model, { keepWhole: true }));
    using opened = await open(hub);
    expect(weightFiles(opened.checkpoint)).toEqual(['model.safetensors']);
    expect(opened.subject.model.listed.map(({ path }) => path).sort()).toEqual([...SMALL, 'model.safetensors'].sort()); // prettier-ignore
    expect(cached(hub)).toEqual([...SMALL, 'model.safetensors'].sort());
    for (const name of [...SHARDS, INDEX]) expect(hub.server.seen(`resolve/`).filter(({ path }) => path.endsWith(name))).toEqual([]); // prettier-ignore
  });

  it('is fetched with the files of its chat template', async () => {
    const templates = ['chat_template.jinja', 'chat_template.json'];
    await using hub = await onHub((copy) => {
      for (const name of templates) writeFileSync(join(copy.model, name), '{}');
    });
    using opened = await open(hub);
    expect(cached(hub)).toEqual([...SMALL, ...templates, 'model.safetensors'].sort());
    expect(opened.subject.model.files.has('chat_template.jinja')).toBe(true);
  });

  it('is fetched by the shards that hold parameters, in a folder below', async () => {
    const head = 'weights/head.safetensors';
    await using hub = await onHub((copy) => {
      shard(copy.model, {
        paths: [`weights/${SHARDS[0]}`, `weights/${SHARDS[1]}`],
        index: (map) => (map['lm_head.weight'] = head),
      });
      cpSync(join(copy.model, 'weights', SHARDS[0]), join(copy.model, head));
      editTensors(join(copy.model, head), (tensors) => {
        const [first] = [...tensors.values()];
        tensors.clear();
        tensors.set('lm_head.weight', first!);
      });
    });
    using opened = await open(hub);
    const shards = SHARDS.map((name) => `weights/${name}`);
    expect(weightFiles(opened.checkpoint)).toEqual(shards);
    expect(cached(hub)).toEqual([...SMALL, INDEX, 'weights', ...shards].sort());
  });

  it('and its set is found by any spelling of paths inside the set', async () => {
    await using hub = await onHub((copy) => {
      mkdirSync(join(copy.set, 'deep'));
      cpSync(join(copy.set, LAYERS[2]!), join(copy.set, 'deep', LAYERS[2]!));
      rmSync(join(copy.set, LAYERS[2]!));
      list(copy, `[./${LAYERS[0]}, deep/../${LAYERS[1]}, .//deep/${LAYERS[2]}, ${LAYERS[3]}]`);
    });
    using opened = await open(hub);
    expect(opened.set.paths).toEqual([LAYERS[0], LAYERS[1], `deep/${LAYERS[2]}`, LAYERS[3]]);
  });

  it.each([
    '../layer_0.safetensors',
    'deep/../../x',
    goldenPath('tiny-a', 'transcoders', 'plt-jumprelu', LAYERS[0]!),
    '..',
    '',
    'file:///etc/layer_0.safetensors',
    'https://huggingface.co/owner/name/layer_0.safetensors',
  ])(
    // prettier-ignore
    'is refused with a set that leaves its folder (%j)',
    async (entry) => {
      await using hub = await onHub((copy) =>
        list(copy, `[${LAYERS[0]}, '${entry}', ${LAYERS[2]}, ${LAYERS[3]}]`),
      );
      const error = await refusalOf(open(hub));
      expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'bad_set_config' });
      expect(error.message).toContain(`${SET}: transcoders names ${JSON.stringify(entry)}`);
    },
  );
});

describe('A set in a folder', () => {
  /** What is told apart by: which layer's encoder stands where. */
  async function encoders({ model, set }: FixtureCopy): Promise<string[]> {
    using opened = await openSubject({ model, transcoders: set }, { dryRun: true });
    const read = opened.set.layers.map(({ W_enc }) => W_enc.file.read(W_enc.info.name));
    return (await Promise.all(read)).map((bytes) => createHash('sha256').update(bytes).digest('hex'));
  }

  const objects = (order: readonly number[], path: (name: string) => string): string =>
    `[${order.map((layer) => `{id: x, layer: ${layer}, filepath: '${path(LAYERS[layer]!)}'}`).join(', ')}]`;
  const cases: [string, (copy: FixtureCopy) => string][] = [
    [
      'file: URLs',
      (copy) => `[${LAYERS.map((name) => pathToFileURL(join(copy.set, name)).href).join(', ')}]`,
    ],
    ['./', () => `[${LAYERS.map((name) => `./${name}`).join(', ')}]`],
    [
      'detours',
      (copy) => `[./a/../${LAYERS[0]}, .//${LAYERS[1]}, ../set/${LAYERS[2]}, ${copy.set}//${LAYERS[3]}]`,
    ],
    ['absolute paths', (copy) => `[${LAYERS.map((name) => join(copy.set, name)).join(', ')}]`],
    ['objects', () => objects([0, 1, 2, 3], (name) => name)],
    ['objects in another order', () => objects([2, 0, 3, 1], (name) => `./${name}`)],
    ['objects with absolute paths', (copy) => objects([3, 2, 1, 0], (name) => join(copy.set, name))],
  ];
  it.each(cases)('is read whatever the spelling of its files: %s', async (_, spell) => {
    using plain = copyFixture('tiny-a');
    using copy = copyFixture('tiny-a');
    list(copy, spell(copy));
    expect(await encoders(copy)).toEqual(await encoders(plain));
  });

  it('may consist of files elsewhere, which are listed by their absolute paths', async () => {
    using elsewhere = copyFixture('tiny-a');
    using copy = copyFixture('tiny-a');
    const expected = await encoders(copy);
    list(copy, `[${LAYERS.map((name) => join(elsewhere.set, name)).join(', ')}]`);
    for (const name of LAYERS) rmSync(join(copy.set, name));
    expect(await encoders(copy)).toEqual(expected);
    const { files } = await load({ model: copy.model, transcoders: copy.set });
    for (const name of LAYERS) {
      const path = join(elsewhere.set, name);
      expect(files).toContainEqual({ path, bytes: readFileSync(path).length, status: 'local' });
    }
  });

  it('needs no kind where it has a list, as before there were other kinds', async () => {
    using copy = copyFixture('tiny-a');
    list(
      copy,
      objects([0, 1, 2, 3], (name) => name),
    );
    editText(join(copy.set, 'config.yaml'), (text) => text.replace(/^model_kind: .*\n/m, ''));
    expect(await encoders(copy)).toHaveLength(4);
  });

  it.each(['gone.safetensors', '/no/such/folder/layer_1.safetensors', '../gone.safetensors'])(
    'is refused by the name of a file that is not there: %s',
    async (entry) => {
      using copy = copyFixture('tiny-a');
      list(copy, `[${LAYERS[0]}, ${entry}, ${LAYERS[2]}, ${LAYERS[3]}]`);
      const error = await refusalOf(
        openSubject({ model: copy.model, transcoders: copy.set }, { dryRun: true }),
      );
      expect(error).toMatchObject({ exitCode: EXIT.notFound, code: 'missing_transcoder' });
      expect(error.message).toContain(entry.replace(/^\.\.\//, ''));
      expect(existsSync(entry)).toBe(false);
    },
  );

  it.each(['https://elsewhere.example/layer_1.safetensors', 'file://elsewhere.example/layer_1.safetensors'])(
    'is refused with a URL that is no file of this machine, as it was written: %s',
    async (entry) => {
      using copy = copyFixture('tiny-a');
      list(copy, `[${LAYERS[0]}, '${entry}', ${LAYERS[2]}, ${LAYERS[3]}]`);
      const error = await refusalOf(
        openSubject({ model: copy.model, transcoders: copy.set }, { dryRun: true }),
      );
      expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'bad_set_config' });
      expect(error.message).toContain(`transcoders names "${entry}"`);
    },
  );

  it.each([
    'hf://',
    'hf://owner',
    'hf://owner/name',
    'hf://a/../../x',
    'hf://datasets/owner/name/x.safetensors',
  ])('is refused with an address that is none, as the fault of its configuration: %s', async (entry) => {
    using copy = copyFixture('tiny-a');
    list(copy, `[${LAYERS[0]}, '${entry}', ${LAYERS[2]}, ${LAYERS[3]}]`);
    const error = await refusalOf(
      openSubject({ model: copy.model, transcoders: copy.set }, { dryRun: true }),
    );
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'bad_set_config' });
    expect(error.message).toContain(`the configuration of ${copy.set}: '${entry}'`);
    expect(error.hint).toContain('hf://owner/name/path');
  });

  it.each(['pythia-70m-deduped', 'a/b/c'])(
    'that was made for a model of no known name says so, and how to name it: %s',
    async (name) => {
      using copy = copyFixture('layouts/saelens', 'set');
      for (let layer = 0; layer < 4; layer++) {
        editText(join(copy.set, `layer_${layer}`, 'cfg.json'), (text) => text.replace('golden/tiny-a', name));
      }
      const error = await refusalOf(openSubject({ transcoders: copy.set }, { dryRun: true }));
      expect(error).toMatchObject({ exitCode: EXIT.notFound, code: 'no_model' });
      expect(error.message).toContain(`'${copy.set}' was made for '${name}'`);
      expect(error.hint).toBe('Name the model with --model.');
    },
  );

  it('may have folders that look like URLs', async () => {
    using copy = copyFixture('layouts/saelens', 'set');
    const names = { model: copy.model, transcoders: copy.set };
    renameSync(join(copy.set, 'layer_1'), join(copy.set, 'file:'));
    using opened = await openSubject(names, { dryRun: true });
    expect(opened.set.paths).toContain('file:/sae_weights.safetensors');
  });

  it('is read without a tensor that nobody needs, whatever its type; a threshold is one where the set is ReLU', async () => {
    using copy = copyFixture('tiny-a');
    editText(join(copy.set, 'config.yaml'), (text) => `${text}activation: relu\n`);
    for (const name of LAYERS) {
      editTensors(join(copy.set, name), (tensors) => {
        tensors.set('activation_function.threshold', {
          dtype: 'F8_E4M3',
          shape: [128],
          bytes: new Uint8Array(128),
        });
        tensors.set('scaled_fp8', { dtype: 'F8_E8M0', shape: [0], bytes: new Uint8Array(0) });
      });
    }
    const { layers } = await load({ model: copy.model, transcoders: copy.set });
    expect(layers.map(({ activation, threshold }) => ({ activation, threshold }))).toEqual(Array(4).fill({ activation: 'relu', threshold: null })); // prettier-ignore
    editText(join(copy.set, 'config.yaml'), (text) =>
      text.replace('activation: relu', 'activation: jumprelu'),
    );
    const error = await refusalOf(load({ model: copy.model, transcoders: copy.set }));
    expect(error).toMatchObject({ exitCode: EXIT.badFile, code: 'tensor_dtype' });
    expect(error.message).toContain('activation_function.threshold');
  });
});
