"""Writes reference-foreign.jsonl and the two small tokenizers in foreign/: what Hugging Face's `tokenizers` library answers for
rules that are left to the npm package `@huggingface/tokenizers`.

    pip install tokenizers==0.22.2
    python test/tokenizer/make-foreign-reference.py      # from the repository root
"""

import json
from pathlib import Path

from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

HERE = Path(__file__).parent
LLAMA = json.loads(Path("test/fixtures/golden/families/llama/model/tokenizer.json").read_text())
MISTRAL = json.loads(Path("test/fixtures/golden/families/mistral/model/tokenizer.json").read_text())

WORDS = [
    "The", "capital of Texas", " is Austin.", "Hello, world!", "don't", "NAÏVE", "Zoë", "e\u0301", "A\u030a\u0323", "Straße", "ſK", "İI",
    "ΑΣ ΟΔΟΣ", "Привет", "東京", "日本語", "한국어", "\u1112\u1161\u11ab", "مرحبا", "नमस्ते", "🦊", "👩‍👩‍👧‍👦", "ﬀ", "Ⅻ", "½", "²", "４５", "ﷺ", "℀", "ǅ",
    "\u00a0", "\u3000", "\u200b", "\t", "\r\n", "\n\n", "   ", "▁", "▁▁▁a", "...", "a--b", "#hash", "C++", "$5.00", "<b>", "\x00\x1f", "�",
    "\ufeff", "a\u0085b", "a\ufeff b", "$^`|~+<=>", "_x_‿y", "«a»、b।", "x\u200dy", "①Ⓐ", "antidisestablishmentarianism", "x" * 120, "[CLS]", "[MASK] a", "<unk>", "</s>", "<|eot_id|>",
]
TEXTS = ["", *WORDS, *(" ".join(WORDS[i::7]) for i in range(7)), *("".join(WORDS[i::5]) for i in range(5)), *(w * 3 for w in WORDS)]


def cases(tokenizer):
    for text in TEXTS:
        ids = tokenizer.encode(text, add_special_tokens=False).ids
        yield {"text": text, "ids": ids, "decoded": tokenizer.decode(ids, skip_special_tokens=False)}


def row(name, file, change, tokenizer):
    return {"name": name, "file": file, "change": change, "cases": list(cases(tokenizer))}


def small(name, tokenizer, trainer):
    lines = [line for page in sorted(Path("docs").glob("*.md")) for line in page.read_text().split("\n")]
    path = HERE / "foreign" / f"{name}.json"
    if not path.exists():
        tokenizer.train_from_iterator(lines, trainer)
        path.parent.mkdir(exist_ok=True)
        path.write_text(json.dumps(json.loads(tokenizer.to_str()), ensure_ascii=False) + "\n")
    return row(name, name, {}, Tokenizer.from_file(str(path)))


def rows():
    wordpiece = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    wordpiece.normalizer = normalizers.BertNormalizer()
    wordpiece.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    wordpiece.decoder = decoders.WordPiece()
    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    yield small("wordpiece", wordpiece, trainers.WordPieceTrainer(vocab_size=500, special_tokens=special))

    unigram = Tokenizer(models.Unigram())
    unigram.normalizer = normalizers.Sequence([normalizers.NFKC(), normalizers.Replace(Regex(" {2,}"), " ")])
    unigram.pre_tokenizer = pre_tokenizers.Metaspace()
    unigram.decoder = decoders.Metaspace()
    special = ["<pad>", "</s>", "<unk>"]
    yield small("unigram", unigram, trainers.UnigramTrainer(vocab_size=400, special_tokens=special, unk_token="<unk>"))

    for kind in ["NFD", "NFKC", "NFKD", "Lowercase", "StripAccents"]:
        yield changed(f"llama, {kind}", "llama", {"normalizer": {"type": kind}})
    several = [{"type": "NFD"}, {"type": "StripAccents"}, {"type": "Lowercase"}, {"type": "Prepend", "prepend": "_"}]
    yield changed("llama, several", "llama", {"normalizer": {"type": "Sequence", "normalizers": several}})
    for i, (accents, lower, clean) in enumerate([(None, True, True), (True, False, True), (False, True, False)]):
        bert = {"type": "BertNormalizer", "clean_text": clean, "handle_chinese_chars": clean, "strip_accents": accents, "lowercase": lower}
        yield changed(f"llama, BertNormalizer {i}", "llama", {"normalizer": bert})
    for left, right in [(True, True), (True, False), (False, True)]:
        yield changed(f"llama, Strip {left} {right}", "llama", {"normalizer": {"type": "Strip", "strip_left": left, "strip_right": right}})
    behaviors = ["Isolated", "Removed", "MergedWithPrevious", "MergedWithNext", "Contiguous"]
    for splitting in [
        *({"type": kind} for kind in ["BertPreTokenizer", "WhitespaceSplit", "Whitespace"]),
        *({"type": "Punctuation", "behavior": behavior} for behavior in behaviors),
        {"type": "CharDelimiterSplit", "delimiter": "-"},
    ]:
        kind = " ".join(splitting.values())
        steps = [splitting, {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": False}]
        yield changed(f"llama, {kind}", "llama", {"pre_tokenizer": {"type": "Sequence", "pretokenizers": steps}})
    for pattern in [r"\s+", r"[aeiou](?=n)", r"\p{Lu}|\d"]:
        replace = {"type": "Replace", "pattern": {"Regex": pattern}, "content": "$&_"}
        yield changed(f"llama, Replace {pattern}", "llama", {"normalizer": replace})
    for scheme in ["always", "first", "never"]:
        decoder = {"type": "Metaspace", "replacement": "▁", "prepend_scheme": scheme, "split": True}
        yield changed(f"mistral, decoder Metaspace {scheme}", "mistral", {"decoder": decoder})
    for cleanup in [True, False]:
        yield changed(f"mistral, decoder WordPiece {cleanup}", "mistral", {"decoder": {"type": "WordPiece", "prefix": "a", "cleanup": cleanup}})


def changed(name, family, change):
    document = {**(LLAMA if family == "llama" else MISTRAL), **change}
    return row(name, family, change, Tokenizer.from_str(json.dumps(document)))


lines = [json.dumps(one, ensure_ascii=True) for one in rows()]
(HERE / "reference-foreign.jsonl").write_text("\n".join(lines) + "\n")
