"""Writes reference-chat.jsonl: what transformers' `apply_chat_template` makes of prompts.

    pip install transformers==4.57.3 jinja2
    python test/tokenizer/make-chat-reference.py     # from the repository root

The templates of chat/ are written in the manner of their families'; each is used with the golden tokenizer of its family.
"""

import json
from pathlib import Path

from jinja2.exceptions import TemplateError
from transformers import AutoTokenizer

HERE = Path(__file__).parent
FAMILIES = Path("test/fixtures/golden/families")
TEMPLATES = {"llama": "llama", "qwen3": "qwen3", "gemma3": "gemma3", "gemma2": "gemma3", "mistral": "mistral"}
PROMPTS = [
    "What is the capital of Texas?", "  spaces around  ", "\n\nlines\n", "naïve Zoë 🦊 東京", "date", "<tool_response>x</tool_response>",
    "{{ 7 * 7 }} {% if %}", "a <|im_end|> <end_of_turn> <|eot_id|> </s> <bos> inside", "it's \"quoted\" \\n & <b>bold</b>",
]
SYSTEMS = [None, "Be brief.", " Answer in German. ", "", "Zeile eins\nZeile zwei 🦊"]


def rows():
    for template, family in TEMPLATES.items():
        tokenizer = AutoTokenizer.from_pretrained(FAMILIES / family / "model")
        tokenizer.chat_template = (HERE / "chat" / f"{template}.jinja").read_text()
        for prompt in PROMPTS:
            for system in SYSTEMS:
                messages = [{"role": "user", "content": prompt}]
                if system is not None:
                    messages.insert(0, {"role": "system", "content": system})
                row = {"template": template, "family": family, "prompt": prompt, "system": system}
                try:
                    text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
                    ids = tokenizer.apply_chat_template(messages, tokenize=True, add_generation_prompt=True)
                    yield {**row, "text": text, "ids": ids}
                except TemplateError as error:
                    yield {**row, "error": str(error)}


lines = [json.dumps(row, ensure_ascii=True) for row in rows()]
(HERE / "reference-chat.jsonl").write_text("\n".join(lines) + "\n")
