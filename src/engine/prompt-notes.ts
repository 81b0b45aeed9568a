/** Engine: notes about prompts that are tokenized in another way than users may expect. */
import type { PromptReader } from './prompt-reader.ts';
import type { CommonOptions, PromptInput } from './request.ts';

/** A part of results. */
export interface Noted {
  /** Absent when there are no notes. */
  readonly notes?: readonly string[];
}

/** A prompt, and what a forward pass reads of it. */
export interface ReadPrompt {
  readonly input: PromptInput;
  readonly tokens: readonly number[];
  /** Its line, where prompts come in a list. */
  readonly line?: number;
}

/** Reports the notes on prompts, and returns them for the result. */
export function notePrompts(
  prompts: readonly ReadPrompt[],
  reader: PromptReader,
  onProgress: CommonOptions['onProgress'],
): Noted {
  return note(promptNotes(prompts, reader), onProgress);
}

/** Reports notes, and returns them for the result. */
export function note(notes: readonly string[], onProgress: CommonOptions['onProgress']): Noted {
  for (const message of notes) onProgress?.({ kind: 'note', message });
  return notes.length === 0 ? {} : { notes };
}

/** Token ids are used as given, so there are no notes on them; nor where the request says what stands in front. */
export function promptNotes(
  prompts: readonly ReadPrompt[],
  { tokenizer, bos: choice }: PromptReader,
): readonly string[] {
  const texts = prompts.filter(({ input }) => 'prompt' in input);
  if (texts.length === 0 || choice !== 'auto') return [];
  const { bosId, otherTemplate } = tokenizer;
  const [bos] = tokenizer.tokenStrings([bosId]);
  const notes: string[] = [];
  for (const { tokens, line } of texts) {
    if (tokens[0] !== bosId || tokens[1] !== bosId) continue;
    const where = line === undefined ? '' : `line ${line}: `;
    notes.push(
      `${where}the prompt begins with ${bos}, and another one is put in front: leave it out to have one`,
    );
  }
  if (otherTemplate !== null) {
    notes.push(
      `the tokenizer's template is not followed: it makes ${otherTemplate} of a text ($A); ${bos} is put in front, and nothing else`,
    );
  }
  return notes;
}
