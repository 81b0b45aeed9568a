"""Holds what the differential test wrote against Hugging Face's `tokenizers` library.

    pip install tokenizers==0.22.2
    node test/differential/tokenizers.mjs --write FOLDER
    python test/differential/compare-with-rust.py FOLDER
"""

import json
import sys
from pathlib import Path

from tokenizers import Tokenizer

total = 0
for file in sorted(Path(sys.argv[1]).glob("*.jsonl")):
    with file.open() as lines:
        tokenizer_file = Path(json.loads(next(lines))["tokenizerJson"])
        tokenizer = Tokenizer.from_file(str(tokenizer_file))
        cleans_up = json.loads(tokenizer_file.with_name("tokenizer_config.json").read_text()).get("clean_up_tokenization_spaces")
        count, wrong = 0, 0
        for line in lines:
            row = json.loads(line)
            ids = tokenizer.encode(row["text"], add_special_tokens=False).ids
            # Cleaning up is a step of transformers, and not of this library.
            text = row["decoded"] if cleans_up else tokenizer.decode(row["ids"], skip_special_tokens=False)
            count += 1
            if ids != row["ids"] or text != row["decoded"]:
                wrong += 1
                print(file.stem, json.dumps(row), ids, json.dumps(text))
    print(f"{file.stem}: {count} strings, {wrong} differences")
    total += wrong
sys.exit(total > 0)
