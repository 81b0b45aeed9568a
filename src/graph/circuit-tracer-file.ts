/** Graph, circuit-tracer, helper: the fields of a file of `Graph.to_pt`, each checked for its type when it is read. */
import { BadFileError } from '../errors.ts';
import type { ByteSource } from '../formats/byte-source.ts';
import { ELEMENT_BYTES, widen } from '../formats/dtype.ts';
import {
  described,
  PickleName,
  PickleObject,
  type NameUse,
  type PickleDict,
  type PickleNames,
} from '../formats/pickle-values.ts';
import { openTorchFile, type TorchFile } from '../formats/torch-file.ts';

export const LOGIT_TARGET = 'circuit_tracer.attribution.targets LogitTarget';
/** The model's configuration: circuit-tracer's own, or TransformerLens' where older releases saved that. */
const CONFIGS = [
  'circuit_tracer.utils.tl_nnsight_mapping UnifiedConfig',
  'transformer_lens.HookedTransformerConfig HookedTransformerConfig',
  'transformer_lens.config.HookedTransformerConfig HookedTransformerConfig',
];
/** NumPy's scalars, such as `attn_scale` in a configuration of TransformerLens; their bytes are a text that Python would encode. */
const NUMPY_SCALARS = [
  'numpy.core.multiarray scalar',
  'numpy._core.multiarray scalar',
  'numpy dtype',
  '_codecs encode',
];
const NAMES: PickleNames = new Map<string, NameUse>([
  ...[LOGIT_TARGET, ...CONFIGS].map((name) => [name, 'object'] as const),
  ...NUMPY_SCALARS.map((name) => [name, 'call'] as const),
]);

export const UNKNOWN = 'unknown';
const HINT = 'Name a file that `Graph.to_pt` of circuit-tracer wrote, of any release.';

/** Opens a file. Throws what `openTorchFile` throws, and `BadFileError` when what was saved is no graph. */
export async function openSaved(sourceOrPath: ByteSource | string): Promise<Saved> {
  const file = await openTorchFile(sourceOrPath, NAMES);
  const { name, value } = file;
  if (value instanceof Map && value.has('adjacency_matrix')) return new Saved(file, value);
  using _closed = file;
  throw new BadFileError({
    code: 'not_a_graph',
    message: `${name} is no graph of circuit-tracer: it has ${described(value)}${value instanceof Map ? ' without adjacency_matrix' : ''}`,
    hint: HINT,
  });
}

export interface ModelConfig {
  readonly n_layers: number;
  readonly vocabulary_size: number | null;
  readonly model: string;
  readonly dtype: string;
}

/** The dictionary that was saved. */
export class Saved implements Disposable {
  readonly fields: PickleDict;
  readonly #file: TorchFile;

  constructor(file: TorchFile, fields: PickleDict) {
    this.#file = file;
    this.fields = fields;
  }

  get name(): string {
    return this.#file.name;
  }

  [Symbol.dispose](): void {
    this.#file[Symbol.dispose]();
  }

  text(field: string): string {
    const value = this.fields.get(field);
    if (typeof value === 'string') return value;
    throw this.bad(field, `is ${value === undefined ? 'missing' : described(value)}; expected text`);
  }

  config(): ModelConfig {
    const value = this.fields.get('cfg');
    const fields = value instanceof PickleObject && CONFIGS.includes(value.name) ? value.state : undefined;
    if (!(fields instanceof Map)) {
      throw this.bad(
        'cfg',
        `is ${value === undefined ? 'missing' : described(value)}; expected a configuration`,
      );
    }
    const n_layers = fields.get('n_layers');
    if (typeof n_layers !== 'number' || !isInt32(n_layers) || n_layers === 0) {
      throw this.bad('cfg.n_layers', 'is no number of layers');
    }
    const text = (name: string): string | undefined => {
      const found = fields.get(name);
      return typeof found === 'string' && found !== '' ? found : undefined;
    };
    const dtype = fields.get('dtype');
    // Before `vocab_size` was saved, ids of custom directions did not exist.
    const vocabulary = this.fields.get('vocab_size') ?? fields.get('d_vocab');
    return {
      n_layers,
      vocabulary_size: typeof vocabulary === 'number' && isInt32(vocabulary) ? vocabulary : null,
      // TransformerLens calls a model by a name of its own, and its tokenizer by the one on the Hub.
      model: text('tokenizer_name') ?? text('model_name') ?? UNKNOWN,
      dtype: dtype instanceof PickleName ? dtype.name.replace('torch ', '') : (text('dtype') ?? UNKNOWN),
    };
  }

  /** Names of the transcoder sets; newer releases call the field `scan_name`. */
  scans(): readonly string[] {
    const value = this.fields.get('scan') ?? this.fields.get('scan_name') ?? null;
    const names = Array.isArray(value) ? value : value === null ? [] : [value];
    return names.map((name) => {
      if (typeof name === 'string') return name;
      throw this.bad('scan', `has ${described(name)}; expected a name or a list of names`);
    });
  }

  /** @param shape expected lengths, null for any */
  async floats(field: string, shape: readonly (number | null)[]): Promise<Float32Array> {
    const { dtype, bytes } = await this.#tensor(field, shape);
    return widen(bytes, dtype);
  }

  /** Counts and indices, 0 to 2^31 - 1. */
  async integers(field: string, shape: readonly (number | null)[]): Promise<Int32Array> {
    const { dtype, bytes } = await this.#tensor(field, shape);
    if (dtype !== 'I64' && dtype !== 'I32') throw this.bad(field, `has dtype ${dtype}; expected I64 or I32`);
    const size = ELEMENT_BYTES[dtype];
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    return Int32Array.from({ length: bytes.byteLength / size }, (_, i) => {
      const value =
        dtype === 'I64' ? Number(view.getBigInt64(i * size, true)) : view.getInt32(i * size, true);
      if (isInt32(value)) return value;
      throw this.bad(field, `has the entry ${value}; expected 0 to 2^31 - 1`);
    });
  }

  bad(field: string, fault: string): BadFileError {
    return new BadFileError({
      code: 'graph_fields',
      message: `${this.#file.name}: ${field} ${fault}`,
      hint: HINT,
    });
  }

  async #tensor(field: string, expected: readonly (number | null)[]) {
    const tensor = await this.#file.tensor(this.fields.get(field), field);
    const fits =
      tensor.shape.length === expected.length &&
      expected.every((length, axis) => length === null || length === tensor.shape[axis]);
    if (fits) return tensor;
    const shown = expected.map((length) => length ?? '?').join(', ');
    throw this.bad(field, `has shape [${tensor.shape.join(', ')}]; expected [${shown}]`);
  }
}

/** 0 to 2^31 - 1. */
export function isInt32(value: number): boolean {
  return Number.isInteger(value) && value >= 0 && value < 2 ** 31;
}
