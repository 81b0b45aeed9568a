/** Model: what is said of a family beside the description of its blocks (`block-spec.ts`). */
import type { PromptRule } from '../tokenizer/bos.ts';
import type { Naming } from './naming.ts';

export interface Family {
  /** `architectures` of config.json. */
  readonly architecture: string;
  /** Tokens that end a text when neither configuration file says which. */
  readonly defaultEndTokens: readonly number[];
  readonly naming: Naming;
  /** Of a GGUF file; undefined for families that are not read from one. */
  readonly gguf?: Naming;
  /**
   * What its prompts are; `USUAL_PROMPT` when left out.
   * @param modelNames of the checkpoint: of a repository, of a folder, as a set calls it
   */
  readonly promptRule?: (modelNames: readonly string[]) => PromptRule;
}
