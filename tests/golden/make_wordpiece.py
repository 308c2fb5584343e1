"""Makes wordpiece.json: texts and their token ids under a small vocabulary, by Google's own tokenizer.

    pip install bert-tensorflow==1.0.4 absl-py six tokenizers && python make_wordpiece.py

The texts that Hugging Face's tokenizers cut in another way are named in HUGGING_FACE_DIFFERS, with the reason; for all
others the script checks that they agree.
"""
import json
import os
import sys
import types

# bert.tokenization wants TensorFlow for opening files alone.
gfile = types.SimpleNamespace(GFile=lambda path, mode: open(path, encoding="utf-8"))
sys.modules["tensorflow"] = types.ModuleType("tensorflow")
sys.modules["tensorflow.compat"] = types.ModuleType("tensorflow.compat")
sys.modules["tensorflow.compat.v1"] = types.SimpleNamespace(gfile=gfile)
sys.modules["tensorflow.compat"].v1 = sys.modules["tensorflow.compat.v1"]

from absl import flags
from bert import tokenization
from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers

flags.FLAGS(["make_wordpiece"])
HERE = os.path.dirname(os.path.abspath(__file__))

WORDS = """the quick brown fox un ##aff ##able ##ing ##ed want runn low ##er new ##est ##s ##a ##b ##c a b c ! ? . , ' - # ##
[ ] mask cls ( ) % $ < = > ` ~ _ / \\ " : ; @ & * + ^ { | } 1 2 19 ##84 ##9 中 国 語 日 本 ##中 κ ο ##σ ##ς ς σ α ##α ##ο
cafe café naïve na ##ïve ##ive i ##i ss ß straße stra ##ße strasse Ü u ber ##ber é e ##e ł lo ##dz Ž z й и ж ##ж
привет мир ##ет прив हिन ##द ##ी हनद ह ##न ##ि ᄒ ##ᅡ ##ᆫ 한 ##국 の 😀 ##😀 👩 ##👩 … — “ ” ‘ ’ ¿ ¡ « » ° ½ ﬁ fi ##n x ##x ;
· ️ İstanbul istanbul ist ##anbul The ##Ing A B C""".split()

TEXTS = [
    "", " ", "\t\n\r ", "The quick brown fox", "unaffable", "unaffableness", "  UNwanted,running\tlowest\n", "new-est!?",
    "a.b.c...", "#hash ##ing", "[MASK] [CLS] [unused1]", "1984's 19%", "中国語 and日本語mixed中a", "a\u3000b\u00a0c",
    "a\u2028b\u2029c\u0085b", "a\u200db\u200c c\u00ad", "a\u0000b\ufffdc\u0007", "\ufeffthe fox", "café cafe\u0301 CAFÉ",
    "naïve NAÏVE", "İstanbul istanbul ISTANBUL", "straße STRASSE ẞ", "Über über", "łódź Žižek", "привет МИР Й й",
    "\u03a3 \u039a\u039f\u03a3 \u039a\u039f\u03a3\u039f \u039f\u03a3. \u039f\u03a3.\u039f a'\u03a3 a'\u03a3b 1\u03a3 \u03a3\u03b1",
    "हिन्दी हनद", "한국 한", "日本の", "\uf900 \u2f81a 豈", "a\u0338 <\u0338 ≮ ≠ a≮b", "\u037e ; a\u037eb \u0387", "\u1fef `",
    "😀 😀😀 👩\u200d👩 a😀b", "… — “quoted” ‘x’ ¿a? «b»", "° ½ ﬁ fin ﬁn", "x" * 200, "x" * 201, "é" * 200, "é" * 201,
    "x" * 199 + "é", "x" * 100 + " " + "x" * 101, "$100 a+b=c <a> a_b a/b a\\b {a|b} ~`^", "a\u0301\u0327b", "\u0301", "\u0301a \u0300",
    "\u1d15f\u1d16d\u1d165", "\U0001d15e\U0001d165\U0001d16d", "a\u302eb\u302f", "\u0b95\u0bcd\u0bcd\u0bbe", "\u1680a\u180eb", "a\u202eb\u2066c",
    "ªº Ⅷ ⓐⒶ", "ǅ ǆ Ǆ", "ΐ \u0390 ᾳ ᾼ ΑΙ", "the\u00a0\u00a0fox\u2003\u2009.", "\u0130\u0130", "ı I i", "a\u034fb", "\U0002a700\U0002b820\U0002b900",
    "\x1c\x1d\x1e\x1fa\x0bb\x0cc\x7f", "ᄒ\u1161\u11ab \ud55c", "Ⅻ№", "\u212b \u2126 \u212a", "\ue000a\uf8ff", "\U0010ffff b", "\u0378a",
]
HUGGING_FACE_DIFFERS = {
    "x" * 200, "x" * 201, "é" * 200, "é" * 201, "x" * 199 + "é", "x" * 100 + " " + "x" * 101,  # its longest word is 100
    TEXTS[25],  # it lower-cases character by character, so no sigma is final
    "\U0002a700\U0002b820\U0002b900",  # its range of ideographs begins at U+2B920 in place of U+2B820
    "\ue000a\uf8ff", "\U0010ffff b", "\u0378a",  # it leaves out all of category C: private use and unassigned too
}


def google(vocab_file, lower_case):
    tokenizer = tokenization.FullTokenizer(vocab_file, do_lower_case=lower_case)
    return lambda text: tokenizer.convert_tokens_to_ids(tokenizer.tokenize(text))


def hugging_face(vocab, lower_case):
    tokenizer = Tokenizer(models.WordPiece(vocab, unk_token="[UNK]", max_input_chars_per_word=100))
    tokenizer.normalizer = normalizers.BertNormalizer(lowercase=lower_case)
    tokenizer.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    return lambda text: tokenizer.encode(text).ids


def main():
    pieces = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    for word in WORDS:
        if word not in pieces:
            pieces.append(word)
    vocab_file = os.path.join(HERE, "vocab.tmp")
    with open(vocab_file, "w", encoding="utf-8") as file:
        file.write("\n".join(pieces) + "\n")
    vocab = {piece: i for i, piece in enumerate(pieces)}
    golden = {"vocab": pieces, "cases": []}
    for text in TEXTS:
        row = {"text": text}
        for name, lower_case in (("uncased", True), ("cased", False)):
            row[name] = google(vocab_file, lower_case)(text)
            theirs = hugging_face(vocab, lower_case)(text)
            if theirs != row[name] and text not in HUGGING_FACE_DIFFERS:
                raise SystemExit(f"{name} {text!r}: Google {[pieces[i] for i in row[name]]}, "
                                 f"Hugging Face {[pieces[i] for i in theirs]}")
        golden["cases"].append(row)
    os.remove(vocab_file)
    with open(os.path.join(HERE, "wordpiece.json"), "w") as file:
        json.dump(golden, file, indent=None, separators=(",", ":"))
        file.write("\n")


if __name__ == "__main__":
    main()
