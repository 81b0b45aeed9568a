/** Files, helper of the pickle reader: numbers and texts behind opcodes, checked against the end of the bytes. */

const NEWLINE = 0x0a;
const utf8 = new TextDecoder('utf-8', { ignoreBOM: true });

/** A place in a pickle. Everything is little-endian but floats. */
export class PickleBytes {
  readonly #bytes: Uint8Array;
  readonly #view: DataView;
  readonly #refused: (fault: string) => Error;
  #position = 0;

  /** @param refused makes the error that is thrown */
  constructor(bytes: Uint8Array, refused: (fault: string) => Error) {
    this.#bytes = bytes;
    this.#view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    this.#refused = refused;
  }

  get position(): number {
    return this.#position;
  }

  get left(): number {
    return this.#bytes.byteLength - this.#position;
  }

  /** Throws unless so many bytes follow. */
  checkLeft(count: number): void {
    if (count > this.left) throw this.#refused(`${count} bytes have to follow, but it has ${this.left} more`);
  }

  byte(): number {
    return this.#view.getUint8(this.#take(1));
  }

  uint16(): number {
    return this.#view.getUint16(this.#take(2), true);
  }

  uint32(): number {
    return this.#view.getUint32(this.#take(4), true);
  }

  int32(): number {
    return this.#view.getInt32(this.#take(4), true);
  }

  /** Rounded above 2^53, which no file is as long as. */
  length64(): number {
    return Number(this.#view.getBigUint64(this.#take(8), true));
  }

  /** Python writes these alone in the order of networks. */
  float64(): number {
    return this.#view.getFloat64(this.#take(8), false);
  }

  /** A two's complement number of so many bytes; a bigint where a number cannot hold it. */
  long(count: number): number | bigint {
    const start = this.#take(count);
    let value = 0n;
    for (let i = count - 1; i >= 0; i--) value = (value << 8n) | BigInt(this.#bytes[start + i]!);
    const signed = BigInt.asIntN(count * 8, value);
    const number = Number(signed);
    return Number.isSafeInteger(number) ? number : signed;
  }

  /** UTF-8; what is none becomes U+FFFD. */
  text(count: number): string {
    const start = this.#take(count);
    return utf8.decode(this.#bytes.subarray(start, start + count));
  }

  line(): string {
    const end = this.#bytes.indexOf(NEWLINE, this.#position);
    if (end < 0) throw this.#refused('a line has no end');
    const text = this.text(end - this.#position);
    this.#take(1);
    return text;
  }

  #take(count: number): number {
    this.checkLeft(count);
    const start = this.#position;
    this.#position += count;
    return start;
  }
}
