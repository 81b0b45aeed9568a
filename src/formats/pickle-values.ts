/** Files, step 2 of pickles: values as a pickle describes them. Objects of Python are data here: a class stays a name, a call is never made. */
import { unreachable } from '../errors.ts';

/** What a pickle may do with a name: only mention it (a type), call it (`REDUCE`), or make an object of it (`NEWOBJ`). */
export type NameUse = 'mention' | 'call' | 'object';

/** Names by `module name`. */
export type PickleNames = ReadonlyMap<string, NameUse>;

/** A class or function, which stays a name. */
export class PickleName {
  /** `module name` */
  readonly name: string;
  readonly use: NameUse;

  constructor(name: string, use: NameUse) {
    this.name = name;
    this.use = use;
  }
}

export class PickleTuple {
  readonly items: readonly PickleValue[];

  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}

/** A call that was not made, or an object that was not made: what would have been called with what, and the state that would have been set. */
export class PickleObject {
  readonly name: string;
  readonly args: readonly PickleValue[];
  /** Of most objects a dict of fields. */
  state: PickleValue | undefined;

  constructor({ name }: PickleName, args: readonly PickleValue[]) {
    this.name = name;
    this.args = args;
  }
}

/** Something outside the pickle: of PyTorch a storage. */
export class PersistentId {
  readonly items: readonly PickleValue[];

  constructor(items: readonly PickleValue[]) {
    this.items = items;
  }
}

export type PickleDict = Map<string | number, PickleValue>;
/** Lists are arrays. Values may refer to each other in a circle. */
export type PickleValue =
  | null
  | boolean
  | number
  | bigint
  | string
  | PickleValue[]
  | PickleDict
  | PickleTuple
  | PickleName
  | PickleObject
  | PersistentId;

/** The kind of a value, for errors; the names in it are listed ones. */
export function described(value: PickleValue): string {
  if (value === null) return 'None';
  if (Array.isArray(value)) return 'a list';
  if (value instanceof Map) return 'a dict';
  if (value instanceof PickleTuple) return 'a tuple';
  if (value instanceof PickleName) return `the name ${value.name.replace(' ', '.')}`;
  if (value instanceof PickleObject) return `an object of ${value.name.replace(' ', '.')}`;
  if (value instanceof PersistentId) return 'a storage';
  switch (typeof value) {
    case 'string':
      return 'text';
    case 'boolean':
      return 'a boolean';
    case 'number':
    case 'bigint':
      return 'a number';
    default:
      return unreachable(value);
  }
}
