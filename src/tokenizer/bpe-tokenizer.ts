/** Tokenizer, all steps together: text → added tokens and normalized text → pieces → ids, and back. */
import { UsageError } from '../errors.ts';
import { AddedTokens } from './added-tokens.ts';
import { withBos } from './bos.ts';
import type { BosChoice, BosRule } from './bos.ts';
import { Decoder } from './decoder.ts';
import type { Foreign } from './foreign.ts';
import { foreignRules } from './foreign-rules.ts';
import { normalizer } from './normalizer.ts';
import { PreTokenizer } from './pre-tokenizer.ts';
import type { Rules } from './rules.ts';
import type { RoleTokens, SpecialTokens } from './special-tokens.ts';
import { pieceOf, vocabularySize } from './tables.ts';
import type { BpeTables } from './tables.ts';
import { otherTemplate } from './template.ts';
import type { DecodeOptions, DecodeStream, Tokenizer } from './tokenizer.ts';

const LONE_SURROGATE = /\p{Surrogate}/gu;

/** What is made of a `tokenizer.json`. */
export interface Parts {
  readonly rules: Rules;
  readonly tables: BpeTables;
  /** Present where rules are left to it. */
  readonly foreign: Foreign | undefined;
  /** The model: a part of a text to ids. */
  readonly encodePart: (part: string) => readonly number[];
}

export class BpeTokenizer implements Tokenizer {
  readonly vocabularySize: number;
  readonly bosId: number;
  readonly eosId: number;
  readonly specialIds: ReadonlySet<number>;
  readonly roleTokens: RoleTokens;
  readonly otherTemplate: string | null;
  readonly foreignRules: readonly string[];
  readonly #special: SpecialTokens;
  readonly #tables: BpeTables;
  readonly #addedTokens: AddedTokens;
  readonly #preTokenizer: PreTokenizer;
  readonly #encodePart: (part: string) => readonly number[];
  readonly #decoder: Decoder;

  constructor({ rules, tables, foreign, encodePart }: Parts, special: SpecialTokens) {
    this.vocabularySize = vocabularySize(tables);
    this.bosId = special.bosId;
    this.eosId = special.eosId;
    this.specialIds = special.ids;
    this.roleTokens = special.roles;
    this.otherTemplate = otherTemplate(rules, special, (id) => pieceOf(tables, id)!);
    this.#special = special;
    this.#tables = tables;
    this.#addedTokens = new AddedTokens(rules.added_tokens, normalizer(rules.normalizer, foreign));
    this.#preTokenizer = new PreTokenizer(rules.pre_tokenizer);
    this.#encodePart = encodePart;
    this.foreignRules = foreignRules(rules);
    // By `tokenizer.json` and not by declaration: `<mask>` is left out too when special tokens are.
    const skipped = new Set(rules.added_tokens.filter((token) => token.special).map((token) => token.id));
    this.#decoder = new Decoder(rules.decoder, special, foreign, (id, { skipSpecialTokens }) =>
      skipSpecialTokens && skipped.has(id) ? undefined : pieceOf(tables, id),
    );
  }

  encode(text: string): number[] {
    const ids: number[] = [];
    this.#addedTokens.split(text.replace(LONE_SURROGATE, '\ufffd')).forEach((span, i) => {
      if (typeof span === 'number') ids.push(span);
      else {
        for (const part of this.#preTokenizer.split(span, i === 0))
          for (const id of this.#encodePart(part)) ids.push(id);
      }
    });
    return ids;
  }

  promptIds(text: string, rule: BosRule, bos: BosChoice = 'auto'): number[] {
    const ids = this.encode(text);
    if (bos === 'none') return ids;
    if (bos === 'auto') return withBos(ids, rule, this.#special);
    const bosId = this.singleToken(bos);
    return withBos(ids, 'unless_bos_first', { bosId, ids: this.#special.ids });
  }

  singleToken(text: string): number {
    const ids = this.encode(text);
    if (ids.length === 1) return ids[0]!;
    const split = this.tokenStrings(ids).map((token, i) => `${JSON.stringify(token)} (${ids[i]})`);
    throw new UsageError({
      code: 'not_one_token',
      message: `${JSON.stringify(text)} is ${ids.length} tokens, but one is needed: ${split.join(' + ') || 'none'}`,
      hint: 'Most words need a space in front to be one token. Token ids can be given instead.',
    });
  }

  decode(ids: ArrayLike<number>, options?: DecodeOptions): string {
    return this.#decoder.decode(Array.from(ids), options);
  }

  decodeStream(options?: DecodeOptions): DecodeStream {
    return this.#decoder.stream(options);
  }

  tokenStrings(ids: ArrayLike<number>): string[] {
    return Array.from(ids, (id) => this.#decoder.decode([id]));
  }

  pieces(ids: ArrayLike<number>): string[] {
    return Array.from(ids, (id) => pieceOf(this.#tables, id) ?? '');
  }
}
