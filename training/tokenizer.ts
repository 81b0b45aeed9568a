/**
 * The tokenizer of the embedded model, in the shape of Gemma's. Byte pairs are learned on bare words with equal counts,
 * until every word is one token; then one merge `▁` + word for each word that follows a space, ranked last. So "Dallas" and
 * "▁Dallas" are one token each, and nothing is merged with digits or punctuation.
 */
const SPACE = '▁';
const SPECIAL = ['<pad>', '<eos>', '<bos>', '<unk>', '<mask>', '<start_of_turn>', '<end_of_turn>'];
const WORD = /[A-Za-z]+/g;
const SPACED_WORD = / ([A-Za-z]+)/g;
/** Printable ASCII: whatever is typed has a token; anything else falls back to bytes. */
const CHARACTERS = ['\n', ...Array.from({ length: 94 }, (_, i) => String.fromCharCode(33 + i)), SPACE];

/** The content of tokenizer.json for sentences. */
export function buildTokenizer(sentences: Iterable<string>): object {
  const words = new Set<string>();
  const spaced = new Set<string>();
  for (const sentence of sentences) {
    for (const [word] of sentence.matchAll(WORD)) words.add(word);
    for (const [, word] of sentence.matchAll(SPACED_WORD)) spaced.add(word!);
  }
  const merges = [
    ...learnMerges([...words].sort()),
    ...[...spaced].sort().map((word) => [SPACE, word] as const),
  ];
  const bytes = Array.from(
    { length: 256 },
    (_, byte) => `<0x${byte.toString(16).toUpperCase().padStart(2, '0')}>`,
  );
  const entries = [...new Set([...SPECIAL, ...bytes, ...CHARACTERS, ...merges.map(([a, b]) => a + b)])];
  return {
    version: '1.0',
    truncation: null,
    padding: null,
    added_tokens: SPECIAL.map((content, id) => ({ id, content, ...PLAIN, special: true })),
    normalizer: { type: 'Replace', pattern: { String: ' ' }, content: SPACE },
    pre_tokenizer: { type: 'Split', pattern: { String: ' ' }, behavior: 'MergedWithPrevious', invert: false },
    post_processor: {
      type: 'TemplateProcessing',
      single: [bosAt(0), { Sequence: { id: 'A', type_id: 0 } }],
      pair: [
        bosAt(0),
        { Sequence: { id: 'A', type_id: 0 } },
        bosAt(1),
        { Sequence: { id: 'B', type_id: 1 } },
      ],
      special_tokens: { '<bos>': { id: '<bos>', ids: [SPECIAL.indexOf('<bos>')], tokens: ['<bos>'] } },
    },
    decoder: {
      type: 'Sequence',
      decoders: [
        { type: 'Replace', pattern: { String: SPACE }, content: ' ' },
        { type: 'ByteFallback' },
        { type: 'Fuse' },
      ],
    },
    model: {
      type: 'BPE',
      dropout: null,
      unk_token: '<unk>',
      continuing_subword_prefix: null,
      end_of_word_suffix: null,
      fuse_unk: true,
      byte_fallback: true,
      ignore_merges: false,
      vocab: Object.fromEntries(entries.map((entry, id) => [entry, id])),
      merges,
    },
  };
}

const PLAIN = { single_word: false, lstrip: false, rstrip: false, normalized: false };

function bosAt(type_id: number): object {
  return { SpecialToken: { id: '<bos>', type_id } };
}

/** The content of tokenizer_config.json and special_tokens_map.json. */
export const TOKENIZER_CONFIG = {
  add_bos_token: true,
  add_eos_token: false,
  added_tokens_decoder: Object.fromEntries(
    SPECIAL.map((content, id) => [id, { content, ...PLAIN, special: true }]),
  ),
  additional_special_tokens: ['<start_of_turn>', '<end_of_turn>'],
  bos_token: '<bos>',
  eos_token: '<eos>',
  pad_token: '<pad>',
  unk_token: '<unk>',
  clean_up_tokenization_spaces: false,
  spaces_between_special_tokens: false,
  tokenizer_class: 'GemmaTokenizer',
  use_default_system_prompt: false,
};

export const SPECIAL_TOKENS_MAP = {
  additional_special_tokens: ['<start_of_turn>', '<end_of_turn>'],
  ...Object.fromEntries(
    ['bos', 'eos', 'pad', 'unk'].map((name) => [`${name}_token`, { content: `<${name}>`, ...PLAIN }]),
  ),
};

/** Byte pairs, the commonest first (of equal ones the first in order), until each word is one piece. */
function learnMerges(words: readonly string[]): (readonly [string, string])[] {
  const pieces = words.map((word) => [...word]);
  const merges: (readonly [string, string])[] = [];
  for (;;) {
    const counts = new Map<string, number>();
    for (const word of pieces) {
      for (let i = 0; i + 1 < word.length; i++) {
        const pair = `${word[i]!} ${word[i + 1]!}`;
        counts.set(pair, (counts.get(pair) ?? 0) + 1);
      }
    }
    if (counts.size === 0) return merges;
    let best = '';
    let most = 0;
    for (const [pair, count] of counts) {
      if (count > most || (count === most && pair < best)) [best, most] = [pair, count];
    }
    const [left, right] = best.split(' ') as [string, string];
    merges.push([left, right]);
    for (const word of pieces) {
      for (let i = 0; i + 1 < word.length; i++) {
        if (word[i] === left && word[i + 1] === right) word.splice(i, 2, left + right);
      }
    }
  }
}
