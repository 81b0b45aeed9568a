import { afterAll, describe, expect, it } from '@jest/globals';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { OPCODE_NAMES } from '../../src/formats/pickle-opcodes.ts';
import { scratchFolder } from '../support/scratch.ts';
import { faultOf, faultOfPickle, fileOf, global, text, value, withScan } from './torch-files.ts';

describe('a pickle that would run something', () => {
  const scratch = scratchFolder();
  afterAll(() => scratch[Symbol.dispose]());
  const trace = path.join(scratch.path, 'was-run');
  const call = (module: string, name: string) =>
    value(global(module, name), text(`touch ${trace}`), 'TUPLE1', 'REDUCE');

  it.each([
    ['posix', 'system'],
    ['os', 'system'],
    ['nt', 'system'],
    ['subprocess', 'Popen'],
    ['builtins', 'eval'],
    ['builtins', 'getattr'],
    ['__builtin__', 'exec'],
    ['torch', 'load'],
    ['torch.storage', '_load_from_bytes'],
    ['torch.hub', 'load'],
    ['numpy', 'load'],
    ['_codecs', 'lookup'],
    ['operator', 'attrgetter'],
    ['collections', 'namedtuple'],
    ['transformer_lens', 'HookedTransformer'],
    ['torch', '_utils._rebuild_tensor_v2'],
    ['', 'torch._utils _rebuild_tensor_v2'],
  ])('by %s.%s is refused by name, alone and inside a graph', async (module, name) => {
    const fault = `it names ${module}.${name}, which is none of the names that belong in it`;
    expect(await faultOfPickle(call(module, name), 'STOP')).toContain(fault);
    expect(await faultOf(await withScan(call(module, name)))).toContain(fault);
    const onStack = value(text(module), text(name), 'STACK_GLOBAL', text('x'), 'TUPLE1', 'REDUCE');
    expect(await faultOf(await withScan(onStack))).toContain(fault);
    const nested = value(
      'MARK',
      'EMPTY_DICT',
      text('a'),
      'EMPTY_LIST',
      call(module, name),
      'APPEND',
      'SETITEM',
      'TUPLE',
    );
    expect(await faultOf(await withScan(nested))).toContain(fault);
    expect(existsSync(trace)).toBe(false);
  });

  it('by an opcode that is not needed is refused by the name of the opcode', async () => {
    const used = [...OPCODE_NAMES.values()].filter((name) => name !== 'PROTO' && name !== 'STOP');
    const faults = new Map<string, string>();
    for (const name of used) faults.set(name, await faultOfPickle(name, 'STOP'));
    const refused = used.filter((name) => faults.get(name)!.includes(`the opcode ${name} is not needed`));
    expect(refused).toEqual(
      expect.arrayContaining([
        'INST',
        'OBJ',
        'NEWOBJ_EX',
        'EXT1',
        'EXT2',
        'EXT4',
        'PERSID',
        'POP',
        'DUP',
        'GET',
        'PUT',
        'NEXT_BUFFER',
      ]),
    );
    expect(refused).toHaveLength(used.length - 34);
  });
});

describe('tricks with the stack and the memo', () => {
  const rebuild = global('torch._utils', '_rebuild_tensor_v2');
  const storage = global('torch', 'FloatStorage');
  const at = (place: number) => Uint8Array.of(place);

  it.each([
    ['something that was never remembered', ['BINGET', at(9), 'STOP'], 'nothing was remembered as 9'],
    [
      'a type that is called',
      [storage, 'EMPTY_TUPLE', 'REDUCE', 'STOP'],
      'REDUCE is used on the name torch.FloatStorage',
    ],
    [
      'a function that is made an object',
      [rebuild, 'EMPTY_TUPLE', 'NEWOBJ', 'STOP'],
      'NEWOBJ is used on the name',
    ],
    ['a text that is called', [text('system'), 'EMPTY_TUPLE', 'REDUCE', 'STOP'], 'REDUCE is used on text'],
    [
      'a name put in the place of another',
      [rebuild, 'BINPUT', at(0), storage, 'BINPUT', at(0), 'BINGET', at(0), 'EMPTY_TUPLE', 'REDUCE', 'STOP'],
      'REDUCE is used on the name torch.FloatStorage',
    ],
    [
      'state of a class',
      [storage, 'EMPTY_DICT', 'BUILD', 'STOP'],
      'BUILD is used on the name torch.FloatStorage',
    ],
    ['state of a dict', ['EMPTY_DICT', 'EMPTY_DICT', 'BUILD', 'STOP'], 'BUILD is used on a dict'],
    ['a value below a mark', ['EMPTY_LIST', 'MARK', 'TUPLE1', 'STOP'], 'a value is missing'],
    ['a mark that is not there', ['EMPTY_LIST', 'APPENDS', 'STOP'], 'a mark is missing'],
    ['a mark that stays', ['MARK', 'EMPTY_LIST', 'STOP'], 'it ends inside a value'],
    ['an empty stack', ['STOP'], 'a value is missing'],
    ['no end', ['NONE'], '1 bytes have to follow, but it has 0 more'],
    ['something after the end', ['NONE', 'STOP', 'NONE'], '1 bytes follow its end'],
    ['a second beginning', ['PROTO', at(2), 'NONE', 'STOP'], 'PROTO has to be its first opcode'],
    ['a byte that is no opcode', [at(0xff), 'STOP'], '0xff is no opcode'],
    [
      'a list as a key',
      ['EMPTY_DICT', 'EMPTY_LIST', 'NONE', 'SETITEM', 'STOP'],
      'a key is neither text nor number',
    ],
    ['a key alone', ['EMPTY_DICT', 'MARK', 'NONE', 'SETITEMS', 'STOP'], 'a key has no value'],
    [
      'a text longer than the file',
      ['BINUNICODE', Uint8Array.of(255, 255, 255, 255), 'STOP'],
      '4294967295 bytes have to follow',
    ],
    ['a frame longer than the file', ['FRAME', new Uint8Array(8).fill(255), 'STOP'], 'bytes have to follow'],
    ['a line without an end', ['GLOBAL', { text: 'os' }], 'a line has no end'],
    ['a storage that is no tuple', ['EMPTY_LIST', 'BINPERSID', 'STOP'], 'BINPERSID needs a tuple'],
  ] as const)('%s', async (_, parts, fault) => {
    expect(await faultOfPickle(...parts)).toContain(fault);
  });

  it('another protocol', async () => {
    for (const protocol of [0, 1, 6, 255]) {
      const file = fileOf(Uint8Array.of(0x80, protocol, 0x4e, 0x2e));
      expect(await faultOf(file)).toContain(`its protocol is ${protocol}, expected 2 to 5`);
    }
  });

  it('values that contain themselves end nowhere and are not followed', async () => {
    const circle = value('EMPTY_LIST', 'BINPUT', at(200), 'BINGET', at(200), 'APPEND');
    expect(await faultOf(await withScan(circle))).toContain(
      'scan has a list; expected a name or a list of names',
    );
    const root = [text('adjacency_matrix'), 'BINGET', at(0), 'SETITEM', 'STOP'] as const;
    expect(await faultOfPickle('EMPTY_DICT', 'BINPUT', at(0), ...root)).toContain('is missing');
  });

  it('lists of lists that double forty times are not unfolded', async () => {
    const doubled = Array.from({ length: 40 }, (_, i) =>
      value(
        'BINPUT',
        at(150 + i),
        'EMPTY_LIST',
        'MARK',
        'BINGET',
        at(150 + i),
        'BINGET',
        at(150 + i),
        'APPENDS',
      ),
    );
    // What lies below on the stack stays there, so that the pickle does not end well.
    const file = await withScan(value('EMPTY_LIST', ...doubled));
    expect(await faultOf(file)).toMatch(/a key is neither text nor number|a key has no value/);
  });

  it('keys that are names of JavaScript are only keys', async () => {
    const keys = ['__proto__', 'constructor', 'toString'].map((key) =>
      value(text(key), 'EMPTY_DICT', 'SETITEM'),
    );
    expect(await faultOfPickle('EMPTY_DICT', ...keys, 'STOP')).toContain(
      'has a dict without adjacency_matrix',
    );
    expect(({} as Record<string, unknown>)['adjacency_matrix']).toBeUndefined();
  });
});
