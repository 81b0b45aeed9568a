/** Odd strings for the differential test of tokenizers, the same for the same seed. */
import { Random } from '../../dist/random.js';

const FRAGMENTS = [
  ...[
    'The',
    'capital',
    ' of',
    'Hello, world!',
    "don't",
    "I'M",
    "they'LL'VE",
    'naïve',
    'Zoë',
    'e\u0301',
    'Å\u0323',
    'Straße',
    'ſK',
  ],
  ...[
    'Привет',
    'мир',
    '東京',
    '日本語',
    '中文字符',
    '한국어',
    '\u1112\u1161\u11ab',
    'مرحبا',
    'नमस्ते',
    'ไทย',
    '🦊',
    '👩‍👩‍👧‍👦',
    '🇩🇪',
    '✌🏽',
  ],
  ...[
    '𝔘𝔫𝔦',
    '\u{10ffff}',
    '\ue000',
    'ﬀ',
    'Ⅻ',
    '½',
    '²',
    '١٢٣',
    '４５',
    'ǅ',
    '\u0378',
    '\ufffe',
    '\u200b',
    '\u200d',
    '\ufeff',
    '\u00ad',
  ],
  ...[
    '\0',
    '\x1b',
    '\x1f',
    '\x7f',
    '\u0085',
    '\u00a0',
    '\u180e',
    '\u2028',
    '\u2029',
    '\u3000',
    '\r\n',
    '\r',
    '\v',
    '\f',
    '\t',
    '\t\t\t',
    '\n',
    '\n\n\n\n',
  ],
  ...[
    '  ',
    '       ',
    ' '.repeat(40),
    '▁',
    '▁▁▁▁',
    'Ġ',
    'Ċ',
    '�',
    '<0x41>',
    '<0x0A>',
    'def f(x):\n    return x**2',
    '{"a": [1, 2.5e-3]}',
  ],
  ...[
    'https://x.y/z?q=1&r=%20',
    '0x1F',
    '3.14159',
    '1234567890',
    '007',
    '...',
    '!!!',
    '--------',
    '#'.repeat(70),
    'aaaaaaaa',
    '<b>bold</b>',
  ],
  ...[
    'for (let i = 0; i < n; i++) {',
    'SELECT * FROM t;',
    '\\frac{a}{b}',
    'antidisestablishmentarianism',
    'ﷺ',
    "'s",
    "'S",
    '’s',
    '/*',
    '*/',
  ],
];

/** Ranges from which single characters are drawn; surrogates are left out, since they stand for no character alone. */
const RANGES = [
  [0, 0x7f],
  [0x80, 0x24f],
  [0x250, 0x2fff],
  [0x3000, 0x9fff],
  [0xac00, 0xd7ff],
  [0xe000, 0xffff],
  [0x10000, 0x1ffff],
  [0x20000, 0x10ffff],
];

/** Of the fragments. */
const ADDED_SHARE = 0.15;

const LENGTHS = [1, 1, 2, 3, 5, 8, 13];

/**
 * @param {number} count
 * @param {number} seed
 * @param {readonly string[]} addedTokens Texts that the tokenizer cuts out; they are mixed into the strings.
 * @returns {Generator<string>}
 */
export function* oddStrings(count, seed, addedTokens) {
  const random = new Random(seed);
  const below = (n) => random.below(n);
  const pick = (list) => list[below(list.length)];
  const character = () => {
    const [from, to] = pick(RANGES);
    return String.fromCodePoint(from + below(to - from + 1));
  };
  const letters = (alphabet) => () => pick(alphabet);
  const repeat = (length, make) => Array.from({ length }, make).join('');
  const fragment = () =>
    addedTokens.length > 0 && random.next() < ADDED_SHARE ? pick(addedTokens) : pick(FRAGMENTS);
  const kinds = [
    (n) => repeat(n, () => fragment() + pick(['', '', ' ', '  ', '\n'])),
    (n) => repeat(4 * n, () => String.fromCharCode(below(128))),
    (n) => repeat(3 * n, character),
    (n) => repeat(4 * n, letters([' ', '\n', '\t', '\r', '▁', 'a', 'b', '<', '>', '\u00a0', "'", 's'])),
    (n) => repeat(3 * n, letters(['1', '2', '9', '٣', ',', '.', ' ', '-', 'x', 'e'])),
    (n) =>
      repeat(
        2 * n,
        () =>
          pick(['e', 'a', 'o', 'ᄒ', 'し', 'ά', '<', '=']) +
          pick(['', '\u0301', '\u0323', '\u0338', '\u1161', '\u3099', '\u0345']),
      ),
    (n) => fragment().repeat(1 + below(4 * n)),
  ];
  yield '';
  for (let made = 1; made < count; made++) yield pick(kinds)(pick(LENGTHS));
}
