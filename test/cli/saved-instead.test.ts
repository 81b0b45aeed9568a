/** Pages, pointers and numbers of Python saved as any file that a command reads, given to the real binary. */
import { cpSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { PAGES, POINTER } from '../formats/saved-instead.ts';
import { gemmaScopePath } from '../formats/support.ts';
import { copyFixture, editText, type FixtureCopy } from '../support/damage.ts';
import { INDEX, shard, SHARDS } from '../support/sharding.ts';
import { refused, type CommandLine } from './refusal.ts';

const EMBEDDED = join(import.meta.dirname, '../../configs/embedded/transcoders');
const PAGE = PAGES[0]![1];

/** A file of a copied fixture, and the command that reads it. */
interface Case {
  readonly title: string;
  readonly set?: string;
  readonly file: (copy: FixtureCopy) => string;
  readonly before?: (copy: FixtureCopy) => unknown;
  /** Default: `load` of the fixture. */
  readonly args?: (file: string, copy: FixtureCopy) => CommandLine;
}

const onFixture =
  (command: string, ...args: string[]) =>
  (_: string, { model, set }: FixtureCopy): CommandLine => [
    command,
    ...args,
    '--model',
    model,
    '--transcoders',
    set,
  ];
const inModel =
  (name: string) =>
  ({ model }: FixtureCopy): string =>
    join(model, name);

const FILES: readonly Case[] = [
  { title: 'the weights', file: inModel('model.safetensors') },
  { title: 'a shard', file: inModel(SHARDS[1]), before: ({ model }) => shard(model) },
  { title: 'the index', file: inModel(INDEX), before: ({ model }) => shard(model) },
  { title: 'config.json', file: inModel('config.json') },
  { title: 'tokenizer.json', file: inModel('tokenizer.json') },
  { title: 'tokenizer_config.json', file: inModel('tokenizer_config.json') },
  { title: 'generation_config.json', file: inModel('generation_config.json'), args: onFixture('generate', 'Hi', '--device', 'wasm') }, // prettier-ignore
  { title: 'config.yaml', file: ({ set }) => join(set, 'config.yaml') },
  { title: 'a transcoder', file: ({ set }) => join(set, 'layer_2.safetensors') },
  { title: 'an archive', set: 'gemmascope', file: ({ set }) => join(set, gemmaScopePath('tiny-a', 1).split('gemmascope/')[1]!) }, // prettier-ignore
  {
    title: 'a graph',
    file: ({ path }) => join(path, 'graph.safetensors'),
    args: (file) => ['graph top', file],
  },
  {
    title: "a viewer's graph",
    file: ({ path }) => join(path, 'graph.json'),
    args: (file) => ['graph export', file, '--format', 'svg', '--output', `${file}.svg`],
  },
  { title: 'interventions', file: ({ path }) => join(path, 'changes.json'), args: onFixtureFile('intervene', '--interventions') }, // prettier-ignore
  {
    title: 'targets',
    file: ({ path }) => join(path, 'targets.json'),
    args: onFixtureFile('attribute', '--targets'),
  },
  { title: 'the index of feature pages', file: ({ path }) => join(path, 'pages/features/index.json.gz'), before: pages, args: withPages }, // prettier-ignore
  { title: 'feature pages', file: ({ path }) => join(path, 'pages/features/layer_1.bin'), before: pages, args: withPages }, // prettier-ignore
];

function onFixtureFile(command: string, flag: string) {
  return (file: string, copy: FixtureCopy): CommandLine => onFixture(command, 'Hi', flag, file)(file, copy);
}

function pages({ path }: FixtureCopy): void {
  cpSync(join(EMBEDDED, 'features'), join(path, 'pages/features'), { recursive: true });
}

function withPages(_: string, { path }: FixtureCopy): CommandLine {
  return [
    'inspect',
    '--layer',
    '1',
    '--feature',
    '5',
    '--device',
    'wasm',
    '--features',
    join(path, 'pages/features'),
  ];
}

describe.each([
  ['an HTML page', PAGE, 'an HTML page', 'Fetch the file itself'],
  ['a Git LFS pointer', Buffer.from(POINTER), 'a Git LFS pointer', 'git lfs pull'],
] as const)('%s that was saved as', (_, content, says, next) => {
  it.each(FILES.map((one) => [one.title, one] as const))(
    '%s is called that',
    async (__, { set, file, before, args }) => {
      // prettier-ignore
      using copy = copyFixture('tiny-a', set);
      before?.(copy);
      const path = file(copy);
      writeFileSync(path, content);
      const line = (args ?? onFixture('load'))(path, copy);
      const refusal = {
        exitCode: 4,
        code: 'unknown_format',
        says: [path.slice(copy.path.length), says],
        next,
      };
      await refused(copy.path, line, refusal);
    },
  );
});

describe('A number of Python in', () => {
  it.each([
    [
      'config.json',
      inModel('config.json'),
      onFixture('load'),
      '"rms_norm_eps": 1e-06',
      '"rms_norm_eps": NaN',
      'NaN',
    ],
    ['tokenizer_config.json', inModel('tokenizer_config.json'), onFixture('load'), /"model_max_length": [\d.e+]+/, '"model_max_length": Infinity', 'Infinity'], // prettier-ignore
  ] as const)('%s is named with its place', async (_, file, args, before, after, number) => {
    using copy = copyFixture('tiny-a');
    const path = file(copy);
    editText(path, (text) => {
      const changed = text.replace(before, after);
      expect(changed).not.toBe(text);
      return changed;
    });
    const lines = readFileSync(path, 'utf8').split('\n');
    const line = lines.findIndex((text) => text.includes(after));
    const place = `line ${line + 1}, column ${lines[line]!.indexOf(number) + 1} has ${number}`;
    await refused(copy.path, args(path, copy), { exitCode: 4, code: 'json_syntax', says: [path, place, 'Python'], next: 'null' }); // prettier-ignore
  });

  it("a viewer's graph is named with its place", async () => {
    using copy = copyFixture('tiny-a');
    const path = join(copy.path, 'graph.json');
    writeFileSync(path, '{\n  "metadata": {"slug": "NaN"},\n  "nodes": [{"influence": -Infinity}]\n}');
    const says = [path, 'line 3, column 27 has -Infinity', 'Python'];
    await refused(
      copy.path,
      ['graph export', path, '--format', 'svg', '--output', join(copy.path, 'picture.svg')],
      {
        exitCode: 4,
        code: 'json_syntax',
        says,
        next: 'null',
      },
    );
  });

  it('settings is named with its place', async () => {
    using copy = copyFixture('tiny-a');
    const path = join(copy.path, 'tracer.config.json');
    writeFileSync(path, '{"device": "wasm", "max_memory": NaN}');
    const says = ['tracer.config.json', 'line 1, column 34 has NaN'];
    await refused(copy.path, ['inspect', '--hooks'], { exitCode: 4, code: 'json_syntax', says, next: 'null' }, { cwd: copy.path }); // prettier-ignore
  });
});
