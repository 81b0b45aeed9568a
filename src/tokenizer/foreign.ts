/** Tokenizer, rules that are left to `@huggingface/tokenizers`: each as a function, made from its description in `tokenizer.json`. */
/** Everything that the package wants to see beside the one part that is taken from it. */
const NOTHING = {
  added_tokens: [],
  normalizer: null,
  pre_tokenizer: null,
  post_processor: null,
  decoder: null,
  model: { type: 'WordPiece', vocab: { '?': 0 }, unk_token: '?', continuing_subword_prefix: '#' },
};

/**
 * They treat each character alone. Of a whole word the package makes what JavaScript makes of it, where a sigma at the end has
 * a form of its own; the library in Rust does not.
 */
const BY_CHARACTER: readonly string[] = ['Lowercase', 'BertNormalizer'];

/** As much of the package's class as is used; its own declarations do not resolve under Node's rules for modules. */
interface Package {
  readonly normalizer: ((text: string) => string) | null;
  readonly decoder: { decode_chain(pieces: readonly string[]): string[] } | null;
  readonly model: ((parts: readonly string[]) => string[]) & {
    readonly tokens_to_ids: ReadonlyMap<string, number>;
    readonly unk_token_id: number;
  };
}
type PackageClass = new (file: object, config: object) => Package;

type Part = Partial<Record<keyof typeof NOTHING, unknown>>;

export class Foreign {
  readonly #class: PackageClass;

  private constructor(packageClass: PackageClass) {
    this.#class = packageClass;
  }

  static async load(): Promise<Foreign> {
    const loaded = (await import('@huggingface/tokenizers')) as unknown as { Tokenizer: PackageClass };
    return new Foreign(loaded.Tokenizer);
  }

  normalizer(rule: { readonly type: string }): (text: string) => string {
    const normalize = this.#part({ normalizer: rule }).normalizer!;
    if (!BY_CHARACTER.includes(rule.type)) return (text) => normalize(text);
    return (text) => Array.from(text, (character) => normalize(character)).join('');
  }

  decoder(rule: object): (piece: string, isFirst: boolean) => string {
    const decoder = this.#part({ decoder: rule }).decoder!;
    return (piece, isFirst) => decoder.decode_chain(isFirst ? [piece] : ['', piece]).at(-1)!;
  }

  /** From a part of a text to ids. `model`: the field of the file, vocabulary included. */
  model(model: object): (part: string) => readonly number[] {
    const encode = this.#part({ model }).model;
    return (part) => encode([part]).map((piece) => encode.tokens_to_ids.get(piece) ?? encode.unk_token_id);
  }

  #part(part: Part): Package {
    return new this.#class({ ...NOTHING, ...part }, {});
  }
}
