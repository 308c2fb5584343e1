"""Writes edits.json beside this file: word and character error rates that jiwer finds in pairs of texts.

    python3 tests/golden/make_edits.py      needs Python with jiwer

A list of {"reference", "hypothesis", "words", "characters"}; the last two are numbers of errors. Texts hold no two
spaces together, of which jiwer counts both.
"""

import json
import pathlib
import random

import jiwer

rng = random.Random(1)
WORDS = "de kat zit op een mat en kijkt naar één vis of twéé vissen".split()


def changed(words):
    words = list(words)
    for _ in range(rng.randrange(5)):
        at = rng.randrange(len(words) + 1)
        words[at:at + rng.randrange(2)] = rng.choices(WORDS, k=rng.randrange(3))
    return " ".join(words)[rng.randrange(3):].strip()


rows = []
for _ in range(40):
    reference = rng.choices(WORDS, k=rng.randrange(1, 9))
    text, hypothesis = " ".join(reference), changed(reference)
    count = [sum((of.substitutions, of.deletions, of.insertions))
             for of in (jiwer.process_words(text, hypothesis), jiwer.process_characters(text, hypothesis))]
    rows.append({"reference": text, "hypothesis": hypothesis, "words": count[0], "characters": count[1]})
pathlib.Path(__file__).with_name("edits.json").write_text(json.dumps(rows, ensure_ascii=False, indent=0) + "\n")
