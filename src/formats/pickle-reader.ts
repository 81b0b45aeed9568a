/**
 * Files, step 3 of pickles: the value that a Python pickle describes, as data. Nothing that it names is looked up or called: a
 * call is a `PickleObject` that says what would have been called with what. Names that the reader of a format does not list, and
 * opcodes that no tensor file needs, are refused by name. Opcodes: Python's `pickletools`, protocols 2 to 5.
 */
import { BadFileError } from '../errors.ts';
import { PickleBytes } from './pickle-bytes.ts';
import { OPCODE_NAMES, type OpcodeName } from './pickle-opcodes.ts';
import {
  described,
  PersistentId,
  PickleName,
  PickleObject,
  PickleTuple,
  type PickleNames,
  type PickleValue,
} from './pickle-values.ts';
import { shownName } from './shown.ts';

const OLDEST_PROTOCOL = 2;
const NEWEST_PROTOCOL = 5;

/**
 * Reads one pickle, which has to fill `bytes`. Time and memory are in proportion to them. Throws `BadFileError` with code
 * `pickle_refused` for anything that is not listed in `names`, damaged, or not needed for tensors.
 * @param file how errors name it
 */
export function readPickle(file: string, bytes: Uint8Array, names: PickleNames): PickleValue {
  return new Machine(file, bytes, names).run();
}

class Machine {
  readonly #file: string;
  readonly #bytes: PickleBytes;
  readonly #names: PickleNames;
  #stack: PickleValue[] = [];
  /** Stacks below the marks. */
  readonly #below: PickleValue[][] = [];
  readonly #memo = new Map<number, PickleValue>();
  /** Place of the opcode that is being read. */
  #at = 0;

  constructor(file: string, bytes: Uint8Array, names: PickleNames) {
    this.#file = file;
    this.#bytes = new PickleBytes(bytes, (fault) => this.#refused(fault));
    this.#names = names;
  }

  run(): PickleValue {
    for (;;) {
      this.#at = this.#bytes.position;
      const code = this.#bytes.byte();
      const opcode = OPCODE_NAMES.get(code);
      if (opcode === undefined) throw this.#refused(`0x${code.toString(16)} is no opcode`);
      if ((opcode === 'PROTO') !== (this.#at === 0)) throw this.#refused('PROTO has to be its first opcode');
      if (opcode === 'STOP') return this.#result();
      this.#step(opcode);
    }
  }

  #step(opcode: OpcodeName): void {
    const bytes = this.#bytes;
    switch (opcode) {
      case 'PROTO':
        return this.#checkProtocol(bytes.byte());
      case 'FRAME':
        return bytes.checkLeft(bytes.length64());
      case 'MARK':
        this.#below.push(this.#stack);
        this.#stack = [];
        return;
      case 'NONE':
        return this.#push(null);
      case 'NEWTRUE':
        return this.#push(true);
      case 'NEWFALSE':
        return this.#push(false);
      case 'BININT':
        return this.#push(bytes.int32());
      case 'BININT1':
        return this.#push(bytes.byte());
      case 'BININT2':
        return this.#push(bytes.uint16());
      case 'LONG1':
        return this.#push(bytes.long(bytes.byte()));
      case 'BINFLOAT':
        return this.#push(bytes.float64());
      case 'SHORT_BINUNICODE':
        return this.#push(bytes.text(bytes.byte()));
      case 'BINUNICODE':
        return this.#push(bytes.text(bytes.uint32()));
      case 'EMPTY_LIST':
        return this.#push([]);
      case 'EMPTY_DICT':
        return this.#push(new Map());
      case 'EMPTY_TUPLE':
        return this.#push(new PickleTuple([]));
      case 'TUPLE1':
        return this.#push(new PickleTuple(this.#popped(1)));
      case 'TUPLE2':
        return this.#push(new PickleTuple(this.#popped(2)));
      case 'TUPLE3':
        return this.#push(new PickleTuple(this.#popped(3)));
      case 'TUPLE':
        return this.#push(new PickleTuple(this.#aboveMark()));
      case 'APPEND':
        return this.#append(this.#popped(1));
      case 'APPENDS':
        return this.#append(this.#aboveMark());
      case 'SETITEM':
        return this.#setItems(this.#popped(2));
      case 'SETITEMS':
        return this.#setItems(this.#aboveMark());
      case 'BINPUT':
        return this.#remember(bytes.byte());
      case 'LONG_BINPUT':
        return this.#remember(bytes.uint32());
      case 'MEMOIZE':
        return this.#remember(this.#memo.size);
      case 'BINGET':
        return this.#recall(bytes.byte());
      case 'LONG_BINGET':
        return this.#recall(bytes.uint32());
      case 'GLOBAL':
        return this.#push(this.#name(bytes.line(), bytes.line()));
      case 'STACK_GLOBAL': {
        const [module, name] = this.#popped(2);
        if (typeof module !== 'string' || typeof name !== 'string') {
          throw this.#refused('STACK_GLOBAL needs two texts');
        }
        return this.#push(this.#name(module, name));
      }
      case 'BINPERSID':
        return this.#push(new PersistentId(this.#tuple(opcode, this.#popped(1)[0])));
      case 'REDUCE':
        return this.#make(opcode, 'call');
      case 'NEWOBJ':
        return this.#make(opcode, 'object');
      case 'BUILD':
        return this.#setState();
      default:
        throw this.#refused(`the opcode ${opcode} is not needed for tensors`);
    }
  }

  #checkProtocol(protocol: number): void {
    if (protocol >= OLDEST_PROTOCOL && protocol <= NEWEST_PROTOCOL) return;
    throw this.#refused(`its protocol is ${protocol}, expected ${OLDEST_PROTOCOL} to ${NEWEST_PROTOCOL}`);
  }

  #result(): PickleValue {
    const [value] = this.#popped(1);
    if (this.#stack.length > 0 || this.#below.length > 0) throw this.#refused('it ends inside a value');
    if (this.#bytes.left > 0) throw this.#refused(`${this.#bytes.left} bytes follow its end`);
    return value!;
  }

  #push(value: PickleValue): void {
    this.#stack.push(value);
  }

  /** The last values, in their order; as many as there have to be above the last mark. */
  #popped(count: number): PickleValue[] {
    if (this.#stack.length < count) throw this.#refused('a value is missing');
    return this.#stack.splice(this.#stack.length - count);
  }

  #aboveMark(): PickleValue[] {
    const values = this.#stack;
    const below = this.#below.pop();
    if (below === undefined) throw this.#refused('a mark is missing');
    this.#stack = below;
    return values;
  }

  #top(): PickleValue {
    if (this.#stack.length === 0) throw this.#refused('a value is missing');
    return this.#stack.at(-1)!;
  }

  #append(values: readonly PickleValue[]): void {
    const list = this.#top();
    if (!Array.isArray(list)) throw this.#refused('something is appended to what is no list');
    for (const value of values) list.push(value);
  }

  #setItems(values: readonly PickleValue[]): void {
    const dict = this.#top();
    if (!(dict instanceof Map)) throw this.#refused('an item is set in what is no dict');
    if (values.length % 2 !== 0) throw this.#refused('a key has no value');
    for (let i = 0; i < values.length; i += 2) {
      const key = values[i];
      if (typeof key !== 'string' && typeof key !== 'number') {
        throw this.#refused('a key is neither text nor number');
      }
      dict.set(key, values[i + 1]!);
    }
  }

  #remember(place: number): void {
    this.#memo.set(place, this.#top());
  }

  #recall(place: number): void {
    const value = this.#memo.get(place);
    if (value === undefined) throw this.#refused(`nothing was remembered as ${place}`);
    this.#push(value);
  }

  #name(module: string, name: string): PickleName {
    const use = this.#names.get(`${module} ${name}`);
    if (use !== undefined) return new PickleName(`${module} ${name}`, use);
    throw this.#refused(
      `it names ${shownName(`${module}.${name}`)}, which is none of the names that belong in it`,
    );
  }

  #make(opcode: OpcodeName, use: 'call' | 'object'): void {
    const [name, args] = this.#popped(2);
    if (!(name instanceof PickleName) || name.use !== use) {
      throw this.#refused(`${opcode} is used on ${described(name!)}`);
    }
    this.#push(new PickleObject(name, this.#tuple(opcode, args)));
  }

  #setState(): void {
    const [state] = this.#popped(1);
    const object = this.#top();
    if (!(object instanceof PickleObject) || object.state !== undefined) {
      throw this.#refused(`BUILD is used on ${described(object)}`);
    }
    object.state = state;
  }

  #tuple(opcode: OpcodeName, value: PickleValue | undefined): readonly PickleValue[] {
    if (value instanceof PickleTuple) return value.items;
    throw this.#refused(`${opcode} needs a tuple`);
  }

  #refused(fault: string): BadFileError {
    return new BadFileError({
      code: 'pickle_refused',
      message: `${this.#file}: its pickle is refused at byte ${this.#at}: ${fault}`,
      hint: 'Nothing of it was run. The file is damaged, was not written by torch.save, or is an attack: do not open it in Python unless you trust who made it.',
    });
  }
}
