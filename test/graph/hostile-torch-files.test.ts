import { describe, expect, it } from '@jest/globals';
import { TracerError } from '../../src/errors.ts';
import { checkGraph } from '../../src/graph/check.ts';
import { Random } from '../../src/random.ts';
import {
  faultOf,
  fileOf,
  formOf,
  global,
  membersOf,
  pickle,
  readBytes,
  replaced,
  text,
  torchFile,
  value,
  type Members,
} from './torch-files.ts';

describe('a tensor that lies about its storage', () => {
  /** A number as the shortest opcodes for it. */
  const number = (n: number) => {
    const bytes = Buffer.alloc(9);
    bytes[0] = 8;
    bytes.writeBigInt64LE(BigInt(n), 1);
    return value('LONG1', bytes);
  };
  const tuple = (values: readonly number[]) => value('MARK', ...values.map(number), 'TUPLE');
  interface Lie {
    type?: string;
    key?: Uint8Array;
    length?: number;
    offset?: number;
    shape?: readonly number[];
    strides?: readonly number[];
  }
  /** `logit_probabilities`, two numbers in storage 2, told otherwise. */
  async function told({
    type = 'FloatStorage',
    key = text('2'),
    length = 2,
    offset = 0,
    shape = [2],
    strides = [1],
  }: Lie) {
    const tensor = value(
      ...[
        global('torch._utils', '_rebuild_tensor_v2'),
        'MARK',
        'MARK',
        text('storage'),
        global('torch', type),
        key,
      ],
      ...[text('cpu'), number(length), 'TUPLE', 'BINPERSID', number(offset), tuple(shape), tuple(strides)],
      ...['NEWFALSE', 'NONE', 'TUPLE', 'REDUCE'],
    );
    const members = await membersOf(formOf('current'));
    const before = members.get('data.pkl')!;
    const renamed = replaced(before, 'logit_probabilities', 'logit_probabilitiez');
    const told = value(text('logit_probabilities'), tensor, 'SETITEM', 'STOP');
    members.set('data.pkl', Buffer.concat([renamed.subarray(0, -1), told]));
    return torchFile(members);
  }

  it('is read when it tells the truth', async () => {
    const graph = await readBytes(await told({}));
    expect(Array.from(graph.logit_probabilities)).toEqual([0.625, 0.25]);
    const turned = await readBytes(await told({ strides: [0], shape: [1] })).catch((error: unknown) => error);
    expect((turned as Error).message).toContain('has shape [1]; expected [2]');
  });

  it.each([
    [{ length: 3 }, 'says that storage 2 has 3 numbers; it has 2'],
    [{ length: 1 }, 'has shape [2] and strides [1] from 0 on, which a storage of 1 numbers does not hold'],
    [{ type: 'DoubleStorage' }, 'says that storage 2 has 2 numbers; it has 1'],
    [{ offset: 1 }, 'from 1 on, which a storage of 2 numbers does not hold'],
    [{ offset: -1 }, 'has an offset, shape or strides that are no whole numbers'],
    [{ shape: [-2] }, 'has an offset, shape or strides that are no whole numbers'],
    [{ strides: [-1] }, 'has an offset, shape or strides that are no whole numbers'],
    [{ strides: [2] }, 'does not hold'],
    [{ strides: [] }, 'has an offset, shape or strides that are no whole numbers'],
    [{ shape: [2, 2], strides: [0, 1] }, 'does not hold'],
    [{ shape: [2 ** 40, 2 ** 40], strides: [0, 0] }, 'does not hold'],
    [{ shape: [2], strides: [2 ** 53 - 1] }, 'does not hold'],
    [{ offset: 2 ** 53 - 1, shape: [], strides: [] }, 'begins at 9007199254740991 of 2 numbers'],
    [{ shape: [0], strides: [1] }, 'has shape [0]; expected [2]'],
    [{ key: text('77') }, 'lies in storage 77, which is missing'],
    [{ key: text('../data.pkl') }, 'lies in a storage without a number'],
    [{ key: value('NONE') }, 'lies in a storage without a number'],
  ] satisfies [Lie, string][])('%j', async (lie, fault) => {
    expect(await faultOf(await told(lie))).toContain(fault);
  });

  it.each([
    ['a text', text('no tensor'), 'is text; expected a tensor'],
    [
      'a call without arguments',
      value(global('torch._utils', '_rebuild_tensor_v2'), 'EMPTY_TUPLE', 'REDUCE'),
      'is a tensor without a place',
    ],
    [
      'another call',
      value(global('collections', 'OrderedDict'), 'EMPTY_TUPLE', 'REDUCE'),
      'is an object of collections.OrderedDict',
    ],
  ])('%s in its place', async (_, tensor, fault) => {
    const file = fileOf(
      pickle(
        'EMPTY_DICT',
        text('adjacency_matrix'),
        'NONE',
        'SETITEM',
        text('input_tokens'),
        tensor,
        'SETITEM',
        'STOP',
      ),
    );
    expect(await faultOf(file)).toContain(`input_tokens ${fault}`);
  });
});

describe('an archive that lies', () => {
  it('a pickle of more bytes than any graph has', async () => {
    const file = fileOf(new Uint8Array(4 * 2 ** 20 + 1));
    expect(await faultOf(file)).toContain('has 4194305 bytes; at most 4194304 are read');
  });

  it('two pickles', async () => {
    const members: Members = await membersOf(formOf('current'));
    members.set('other/data.pkl', members.get('data.pkl')!);
    expect(await faultOf(torchFile(members))).toContain('has 2 members named data.pkl');
  });

  it('numbers of the other byte order', async () => {
    const members: Members = await membersOf(formOf('current'));
    members.set('byteorder', Buffer.from('big'));
    expect(await faultOf(torchFile(members))).toContain('has the byte order big; expected little');
  });

  it('a changed number', async () => {
    const file = formOf('current');
    const matrix = (await membersOf(file)).get('data/0')!;
    const place = Buffer.from(file).indexOf(Buffer.from(matrix));
    file[place + 40]! ^= 1;
    expect(await faultOf(file)).toContain('member current/data/0 has a wrong checksum');
  });
});

const MUTATIONS = 10_000;

describe(`${MUTATIONS} mutations of a file`, () => {
  /** Bytes with one to four changes: other bytes, a part left out, a part twice, a part of another pickle. */
  function mutated(bytes: Uint8Array, other: Uint8Array, random: Random): Uint8Array {
    const below = (end: number): number => random.below(end);
    let buffer = Buffer.from(bytes);
    for (let changes = 1 + below(4); changes > 0; changes--) {
      const at = below(buffer.length);
      const [before, after] = [buffer.subarray(0, at), buffer.subarray(at)];
      const part = buffer.subarray(at, at + 1 + below(24));
      const foreign = other.subarray(below(other.length));
      switch (below(5)) {
        case 0:
          buffer = Buffer.concat([before, Buffer.of(below(256)), after.subarray(1)]);
          break;
        case 1:
          buffer = Buffer.concat([before, after.subarray(part.length)]);
          break;
        case 2:
          buffer = Buffer.concat([before, part, after]);
          break;
        case 3:
          buffer = Buffer.concat([before, foreign.subarray(0, 1 + below(24)), after]);
          break;
        default:
          buffer = Buffer.concat([before, Buffer.of([0, 1, 127, 128, 255][below(5)]!), after.subarray(1)]);
      }
    }
    return buffer;
  }

  it('are refused with exit code 4 or give a graph without a fault; nothing else happens', async () => {
    const random = new Random(20);
    const file = formOf('current');
    const members = await membersOf(file);
    const others = await membersOf(formOf('protocol-4'));
    const outcomes = { refused: 0, read: 0 };
    for (let i = 0; i < MUTATIONS; i++) {
      // Half of them with a checksum that is right, so that they get as far as the pickle.
      const pickle = mutated(members.get('data.pkl')!, others.get('data.pkl')!, random);
      const changed =
        i % 2 === 0 ? mutated(file, file, random) : torchFile(new Map([...members, ['data.pkl', pickle]]));
      try {
        checkGraph('graph.pt', await readBytes(changed));
        outcomes.read++;
      } catch (error) {
        if (!(error instanceof TracerError)) throw new Error(`mutation ${i}`, { cause: error });
        expect([i, error.exitCode]).toEqual([i, 4]);
        outcomes.refused++;
      }
    }
    expect(outcomes.refused).toBeGreaterThan(MUTATIONS / 2);
    expect(outcomes.read).toBeGreaterThan(0);
  });
});
