/** Tokenizer, chat: templates in Jinja. They come with checkpoints, from anywhere, so what they may do is bounded. */
import { BadFileError } from '../errors.ts';
import { messageOf } from '../formats/system-errors.ts';
import { timeText } from './time-text.ts';

/**
 * What is used of the package. Not its `Template`: that writes dates in the language of the user, and its loops have no limit.
 * Its declarations name files without their endings, so they are not found.
 */
interface Jinja {
  readonly tokenize: (source: string, options: { lstrip_blocks: boolean; trim_blocks: boolean }) => unknown;
  readonly parse: (tokens: unknown) => unknown;
  readonly Environment: new () => { set(name: string, value: unknown): unknown };
  readonly Interpreter: new (environment: unknown) => Interpreter;
}

interface Interpreter {
  run(program: unknown): { readonly value: unknown };
  /** Called for each statement and each part of an expression. */
  evaluate(node: unknown, environment: unknown): unknown;
}

/** Known templates take some milliseconds. Loops in loops have no other limit. */
const LONGEST_MS = 10_000;
const LONGEST_RANGE = 100_000;
/** Known templates write some thousand characters beside the messages. */
const LONGEST_TEXT = 2 ** 24;

/** The text that a template makes of its variables; an `Error` says why it makes none. */
export type Template = (variables: Readonly<Record<string, unknown>>) => string;

/**
 * Variables and functions that transformers gives to a template are there too. Throws `BadFileError` for a text that is no template.
 * @param file for errors
 * @param longestMs after which a template is given up
 */
export async function parseTemplate(text: string, file: string, longestMs = LONGEST_MS): Promise<Template> {
  const jinja = (await import('@huggingface/jinja')) as unknown as Jinja;
  const { Environment, Interpreter, parse, tokenize } = jinja;

  class Bounded extends Interpreter {
    private readonly end = performance.now() + longestMs;
    override evaluate(node: unknown, environment: unknown): unknown {
      if (performance.now() > this.end) throw new Error(`it takes more than ${longestMs / 1000} s`);
      return super.evaluate(node, environment);
    }
  }

  let program: unknown;
  try {
    program = parse(tokenize(text, { lstrip_blocks: true, trim_blocks: true }));
  } catch (error) {
    // The parser reads on behind the last token.
    const why = error instanceof TypeError ? 'it ends within a statement' : messageOf(error);
    throw new BadFileError({
      code: 'chat_template_syntax',
      message: `${file}: the chat template is not one: ${why}`,
      hint: 'Leave out --chat, or fetch the file again.',
    });
  }
  return (variables) => {
    const environment = new Environment();
    for (const [name, value] of Object.entries({ ...GLOBALS, ...variables })) environment.set(name, value);
    const result = String(new Bounded(environment).run(program).value);
    if (result.length > LONGEST_TEXT) throw new Error(`it writes ${result.length} characters`);
    return result;
  };
}

/** Variables and functions that transformers gives to a template; constants in both spellings that Jinja knows. */
const GLOBALS = {
  true: true,
  false: false,
  none: null,
  True: true,
  False: false,
  None: null,
  tools: null,
  documents: null,
  add_generation_prompt: true,
  range,
  raise_exception: (message: unknown) => {
    throw new Error(String(message));
  },
  strftime_now: (format: unknown) => timeText(new Date(), String(format)),
};

/** Python's `range`. */
function range(first: number, last?: number, step = 1): number[] {
  const [start, stop] = last === undefined ? [0, first] : [first, last];
  const count = step === 0 ? Infinity : Math.max(0, Math.ceil((stop - start) / step));
  if (!(count <= LONGEST_RANGE)) throw new Error(`range of ${count} numbers`);
  return Array.from({ length: count }, (_, i) => start + i * step);
}
