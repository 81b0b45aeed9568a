/** Engine: from the prompt of a request to the tokens that a model reads. */
import { UsageError } from '../errors.ts';
import type { BosChoice, PromptRule } from '../tokenizer/bos.ts';
import type { Tokenizer } from '../tokenizer/tokenizer.ts';
import type { ReadInput } from './chat.ts';

/** Belongs to a session. Token ids are taken as they are; in front of text stands what the rule of the model and `bos` say. */
export class PromptReader {
  readonly tokenizer: Tokenizer;
  readonly rule: PromptRule;
  readonly bos: BosChoice;

  /** Throws `UsageError` when `bos` is not one token. */
  constructor(tokenizer: Tokenizer, rule: PromptRule, bos: BosChoice = 'auto') {
    if (bos !== 'auto' && bos !== 'none') checkToken(tokenizer, bos);
    this.tokenizer = tokenizer;
    this.rule = rule;
    this.bos = bos;
  }

  /** The token that is put in front; null for none. */
  get bosId(): number | null {
    if (this.bos === 'none') return null;
    return this.bos === 'auto' ? this.tokenizer.bosId : this.tokenizer.singleToken(this.bos);
  }

  /** For `run`, `intervene` and `generate`. Throws `UsageError` for an empty prompt. */
  passTokens(input: ReadInput): readonly number[] {
    return this.tokens(input, this.rule.bos.pass);
  }

  /** Throws `UsageError` for an empty prompt, and for one that does not begin as the model's prompts have to. */
  attributionTokens(input: ReadInput): readonly number[] {
    const tokens = this.tokens(input, this.rule.bos.attribution);
    const { beginning } = this.rule;
    if (beginning.every((id, i) => tokens[i] === id)) return tokens;
    const [shown, found] = [beginning, tokens.slice(0, beginning.length)].map((ids) =>
      JSON.stringify(this.tokenizer.decode(ids)),
    );
    throw new UsageError({
      code: 'prompt_beginning',
      message: `prompts of this model have to begin with ${shown} (ids ${beginning.join(', ')}) to be traced, found ${found} (${tokens.slice(0, beginning.length).join(', ')})`,
      hint: 'It was tuned on chats: their first positions are left out of a graph. --chat wraps a prompt in its template.',
    });
  }

  private tokens(input: ReadInput, rule: PromptRule['bos']['pass']): readonly number[] {
    if ('tokens' in input) return input.tokens;
    // A chat template puts its own BOS in front.
    const own = input.inTemplate ? this.rule.bos.attribution : rule;
    if (input.prompt !== '') return this.tokenizer.promptIds(input.prompt, own, this.bos);
    throw new UsageError({
      code: 'empty_prompt',
      message: 'the prompt is empty',
      hint: 'Give some text, or token ids with --tokens.',
    });
  }
}

function checkToken(tokenizer: Tokenizer, bos: string): void {
  try {
    tokenizer.singleToken(bos);
  } catch (cause) {
    if (!(cause instanceof UsageError)) throw cause;
    throw new UsageError({
      code: cause.code,
      message: `--bos: ${cause.message}`,
      hint: "Give auto, none, or the text of one token, such as '<bos>'.",
      cause,
    });
  }
}
