/** Files, GGUF: values of the metadata by key and type, with errors that name file, key, what was expected and found. */
import { BadFileError } from '../errors.ts';
import type { GgufMetadata } from './gguf.ts';
import { isList, type GgufList, type GgufScalar, type GgufValue } from './gguf-values.ts';
import { shown } from './shown.ts';

/** What the metadata of a file says. Every method gives undefined for a key that is absent. */
export class MetadataReader {
  /** How errors name the file. */
  readonly name: string;
  private readonly values: GgufMetadata;

  constructor({ name, values }: { readonly name: string; readonly values: GgufMetadata }) {
    this.name = name;
    this.values = values;
  }

  has(key: string): boolean {
    return this.values.has(key);
  }

  number(key: string): number | undefined {
    return this.ofType(key, 'a number', (value) => typeof value === 'number');
  }

  /** A number, or a list that has the same number for every layer. */
  sameNumber(key: string): number | undefined {
    if (!isList(this.values.get(key))) return this.number(key);
    const numbers = this.numbers(key)!;
    if (numbers.length > 0 && numbers.every((number) => number === numbers[0])) return numbers[0];
    throw this.wrong(key, 'the same number for all layers', numbers);
  }

  text(key: string): string | undefined {
    return this.ofType(key, 'a text', (value) => typeof value === 'string');
  }

  boolean(key: string): boolean | undefined {
    return this.ofType(key, 'true or false', (value) => typeof value === 'boolean');
  }

  texts(key: string): readonly string[] | undefined {
    return this.listOf(key, 'a list of texts', (value) => typeof value === 'string');
  }

  numbers(key: string): readonly number[] | undefined {
    return this.listOf(key, 'a list of numbers', (value) => typeof value === 'number');
  }

  booleans(key: string): readonly boolean[] | undefined {
    return this.listOf(key, 'a list of true or false', (value) => typeof value === 'boolean');
  }

  isList(key: string): boolean {
    return isList(this.values.get(key));
  }

  /** Throws `BadFileError` for a key that has to be there. */
  require<T>(key: string, value: T | undefined): T {
    if (value !== undefined) return value;
    throw new BadFileError({
      code: 'gguf_metadata',
      message: `${this.name} has no ${key} in its metadata`,
      hint: 'The file is not a whole language model, or was made by a program that left it out. Convert the model again.',
    });
  }

  wrong(key: string, expected: string, found: unknown): BadFileError {
    return new BadFileError({
      code: 'gguf_metadata',
      message: `${this.name}: ${key} is ${typeof found === 'bigint' ? String(found) : shown(found)}, expected ${expected}`,
      hint: 'Check that the file is unchanged. A model that really has this value cannot be traced.',
    });
  }

  private ofType<T extends GgufScalar>(
    key: string,
    expected: string,
    is: (value: GgufValue) => value is T,
  ): T | undefined {
    const value = this.values.get(key);
    if (value === undefined || is(value)) return value;
    throw this.wrong(key, expected, isList(value) ? 'a list' : value);
  }

  private listOf<T extends GgufScalar>(
    key: string,
    expected: string,
    is: (value: GgufScalar) => value is T,
  ): readonly T[] | undefined {
    const value = this.values.get(key);
    if (value === undefined) return undefined;
    if (!isList(value)) throw this.wrong(key, expected, value);
    const list = (value satisfies GgufList).values();
    if (list.every(is)) return list;
    throw this.wrong(
      key,
      expected,
      list.find((each) => !is(each)),
    );
  }
}
