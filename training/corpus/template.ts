/** Corpus: a template and its fields to a sentence. */

export type Fields = Readonly<Record<string, string | number | null | undefined>>;

const FIELD = /\{(?:([aA]):)?(\w+)\}/g;

/**
 * `{x}` is the field, `{X}` the field with a capital letter, `{a:x}` the field after its article, `{A:x}` both.
 * Null when a field is missing: the template says nothing about this fact.
 */
export function fill(template: string, fields: Fields): string | null {
  let isComplete = true;
  const sentence = template.replace(FIELD, (_, article: string | undefined, name: string) => {
    const field = fields[name] ?? fields[name[0]!.toLowerCase() + name.slice(1)];
    if (field === null || field === undefined) {
      isComplete = false;
      return '';
    }
    const text = String(field);
    if (!article) return name in fields ? text : capitalized(text);
    const phrase = `${/^[aeiou]/i.test(text) ? 'an' : 'a'} ${text}`;
    return article === 'A' ? capitalized(phrase) : phrase;
  });
  return isComplete ? sentence : null;
}

export function capitalized(text: string): string {
  return text[0]!.toUpperCase() + text.slice(1);
}

/** What stands before the last mention of a field, and nothing after: a question to which that field is the answer. */
export function promptOf(template: string, answer: string): string | null {
  const at = template.lastIndexOf(`{${answer}}`);
  return at > 0 ? template.slice(0, at).trimEnd() : null;
}
