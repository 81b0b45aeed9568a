/**
 * What `@huggingface/tokenizers` 0.2.0 does otherwise than the `tokenizers` library in Rust. The ids of each sample are Rust's
 * (`compare-with-rust.py` gives them).
 */

function stepsOf(part) {
  if (part?.type !== 'Sequence') return part ? [part] : [];
  return (part.pretokenizers ?? []).flatMap(stepsOf);
}

export const KNOWN_MISTAKES = [
  {
    mistake:
      "The expression that is built into ByteLevel runs with JavaScript's \\s: U+FEFF is white space in it, U+0085 is not",
    concerns: (json) =>
      stepsOf(json.pre_tokenizer).some(({ type, use_regex }) => type === 'ByteLevel' && use_regex !== false),
    strings: /[\u0085\ufeff]/,
    sample: {
      family: 'GPT-2',
      text: 'a  \u0085b \ufeffc',
      ids: [64, 220, 220, 126, 227, 65, 27332, 119, 123, 66],
    },
  },
];
