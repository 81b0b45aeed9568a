import { describe, expect, it } from '@jest/globals';
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { readInterventions } from '../../src/intervention/json-form.ts';
import {
  readSupernodes,
  scaleSupernodes,
  supernodeInterventions,
  type Supernode,
} from '../../src/intervention/supernodes.ts';
import { scratchFolder } from '../support/scratch.ts';

async function read<T>(text: string, reader: (file: string) => Promise<T>): Promise<T> {
  using folder = scratchFolder();
  const file = path.join(folder.path, 'given.json');
  writeFileSync(file, text);
  return await reader(file);
}

describe('a file of interventions', () => {
  it('has positions, ranges, factors, amounts, and the text form', async () => {
    const text = JSON.stringify([
      { layer: 0, pos: 8, feature: 104, value: 30.9 },
      { layer: 1, pos: { start: 2, stop: null }, feature: 5, scale: -2 },
      { layer: 1, pos: { start: 2, stop: 5 }, feature: 5, add: 1.5 },
      '0:-1:7=*3',
    ]);
    expect(await read(text, readInterventions)).toEqual([
      { layer: 0, pos: 8, feature: 104, change: { kind: 'set', value: 30.9 } },
      { layer: 1, pos: { start: 2, stop: null }, feature: 5, change: { kind: 'scale', factor: -2 } },
      { layer: 1, pos: { start: 2, stop: 5 }, feature: 5, change: { kind: 'add', amount: 1.5 } },
      { layer: 0, pos: -1, feature: 7, change: { kind: 'scale', factor: 3 } },
    ]);
  });

  it.each([
    ['a value that is no number', '[{"layer":0,"pos":1,"feature":3,"value":NaN}]'],
    ['a value that is null', '[{"layer":0,"pos":1,"feature":3,"value":null}]'],
    ['a value and a factor', '[{"layer":0,"pos":1,"feature":3,"value":1,"scale":2}]'],
    ['no value', '[{"layer":0,"pos":1,"feature":3}]'],
    ['a fractional layer', '[{"layer":0.5,"pos":1,"feature":3,"value":1}]'],
    ['no list', '{"layer":0,"pos":1,"feature":3,"value":1}'],
    ['a text that is no intervention', '["0:1:3"]'],
  ])('with %s is a usage error that names the file', async (_, text) => {
    await expect(read(text, readInterventions)).rejects.toMatchObject({
      exitCode: 2,
      message: expect.stringContaining('given.json'),
    });
  });

  it('that is not there is reported as missing', async () => {
    await expect(readInterventions('/nowhere/given.json')).rejects.toMatchObject({ exitCode: 3 });
  });
});

describe('supernodes', () => {
  const texas: Supernode = { name: 'Texas', ids: ['20_15589_10', 'E_26865_9', '20_error_10', '27_22605_10'] };
  const capital: Supernode = { name: 'capital', ids: ['3_7_4', '4_8_4'] };
  const lists = [texas, capital].map(({ name, ids }) => [name, ...ids]);

  it.each([
    ['a list of groups', lists],
    ["a viewer's selection", { supernodes: lists, pinnedIds: [] }],
    ["a viewer's graph", { qParams: { supernodes: lists }, nodes: [] }],
  ])('are read from %s', async (_, file) => {
    expect(await read(JSON.stringify(file), readSupernodes)).toEqual([texas, capital]);
  });

  it('are read from a single group', async () => {
    expect(await read(JSON.stringify(lists[0]), readSupernodes)).toEqual([texas]);
  });

  it('are refused when there are none', async () => {
    await expect(read('{"qParams":{"supernodes":[]}}', readSupernodes)).rejects.toMatchObject({
      exitCode: 2,
      code: 'no_supernodes',
    });
  });

  it('scale the features of a group together and leave out what is none', () => {
    const scale = { kind: 'scale', factor: -2 };
    expect(supernodeInterventions({ ...texas, factor: -2 }, 26)).toEqual({
      interventions: [{ layer: 20, feature: 15589, pos: 10, change: scale }],
      others: ['E_26865_9', '20_error_10', '27_22605_10'],
    });
    expect(() => supernodeInterventions({ name: 'x', ids: ['E_1_2'], factor: 1 }, 26)).toThrow(/no feature/);
  });

  it('take factors by name, a general one for the others, and 0 without any', () => {
    const factors = (...given: { name: string | null; factor: number }[]): (string | number)[][] =>
      scaleSupernodes([texas, capital], given).map(({ name, factor }) => [name, factor]);
    expect(factors()).toEqual([
      ['Texas', 0],
      ['capital', 0],
    ]);
    expect(factors({ name: 'capital', factor: 3 })).toEqual([['capital', 3]]);
    expect(factors({ name: null, factor: -1 }, { name: 'capital', factor: 3 })).toEqual([
      ['Texas', -1],
      ['capital', 3],
    ]);
    expect(() => factors({ name: 'capitol', factor: 1 })).toThrow(
      expect.objectContaining({ hint: "Did you mean 'capital'?" }),
    );
  });
});
