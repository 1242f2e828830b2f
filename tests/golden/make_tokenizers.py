#!/usr/bin/env python3
"""Trains small tokenizers with the live libraries and writes what they make of some strings.

    make_tokenizers.py                          writes tokenizers/

Each folder under tokenizers/ is a tokenizer as a model's folder has it, and cases.json: a list of
[text, ids, decoded], ids without the tokens around a text, decoded null where SentencePiece writes
its own sign for the unknown.  Needs tokenizers, sentencepiece and tiktoken.
"""
import base64
import json
import pathlib
import random
import shutil
import unicodedata

import sentencepiece
import tiktoken
from tokenizers import (AddedToken, Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers,
                        processors, trainers)

HERE = pathlib.Path(__file__).resolve().parent
OUT = HERE / "tokenizers"
DATA = HERE.parent / "data"
GPT4 = (r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*"
        r"|\s*[\r\n]+|\s+(?!\S)|\s+")
DEEPSEEK = [r"\p{N}{1,3}", "[一-龥぀-ゟ゠-ヿ]+",
            r"""[!"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?[\p{L}\p{M}]+"""
            r"| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"]
KIMI = (r"[\p{Han}]+|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]+"
        r"[\p{Ll}\p{Lm}\p{Lo}\p{M}&&[^\p{Han}]]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?"
        r"|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+")
MORE = ("Straße, café, naïve — “quotes” … ÅÄÖ åäö. Привет, мир! Ελληνικά. 你好，世界。こんにちは世界、カタカナ。"
        "안녕하세요 세계. مرحبا بالعالم. नमस्ते दुनिया। สวัสดีชาวโลก 🙂🚀👩‍👩‍👧 ① ² ½ ﬁ Ⅷ １２３ ｆｕｌｌ e\u0301 "
        "don't I'll we've 12345 3.14159 x_1 = y[2];\n\tif (a && b) { return -1; }\r\n\n   indented   text  ")


def corpus():
    text = [(DATA / name).read_text(encoding="utf-8") for name in ("english.txt", "code.txt")]
    lines = "\n".join(text)[:200000].splitlines(keepends=True)
    return lines + [MORE] * 40


RANGES = [(0x20, 0x7E)] * 12 + [(0x09, 0x0D), (0x20, 0x20), (0xA0, 0xFF), (0x100, 0x24F),
          (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x4FF), (0x590, 0x5FF), (0x600, 0x6FF),
          (0x900, 0x97F), (0xE00, 0xE7F), (0x1100, 0x11FF), (0x2000, 0x206F), (0x2070, 0x20CF),
          (0x2100, 0x218F), (0x2581, 0x2581), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
          (0xF900, 0xFAFF), (0xFE00, 0xFE0F), (0xFF00, 0xFFEF), (0x1F300, 0x1F64F), (0x20000, 0x2A6DF)]


def random_text(rng, specials=()):
    """A string of words of the corpus, runs of one kind of character and any characters at all."""
    out = []
    for _ in range(rng.randint(1, 8)):
        kind = rng.random()
        if kind < 0.35:
            words = MORE.split(" ")
            out.append(rng.choice(["", " ", "  "]) + rng.choice(words))
        elif kind < 0.45:
            out.append(rng.choice(" \t\n\r'1aA中-") * rng.randint(1, 9))
        elif kind < 0.5 and specials:
            out.append(rng.choice(["", " ", "  ", "a"]) + rng.choice(specials) +
                       rng.choice(["", " ", " \n ", "b"]))
        else:
            low, high = rng.choice(RANGES)
            out.append("".join(chr(rng.randint(low, high)) for _ in range(rng.randint(1, 6))))
    return "".join(c for c in "".join(out) if not 0xD800 <= ord(c) < 0xE000)


def old_enough(name, text):
    """Without characters that Unicode got after version 14, and for the class of punctuation after
    3.2: the libraries' tables differ in age."""
    tables = unicodedata.ucd_3_2_0 if name == "bert" else unicodedata
    return "".join(c for c in text if tables.category(c) != "Cn")


def bpe_trainer(size, **more):
    return trainers.BpeTrainer(vocab_size=size, show_progress=False, **more)


def byte_level(pre, normalizer=None, size=500, added=(), post=None, ignore=False):
    tok = Tokenizer(models.BPE(ignore_merges=ignore))
    if normalizer:
        tok.normalizer = normalizer
    tok.pre_tokenizer = pre
    tok.decoder = decoders.ByteLevel()
    tok.train_from_iterator(corpus(), bpe_trainer(
        size, special_tokens=["<|endoftext|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet()))
    tok.add_tokens(list(added))
    if post:
        tok.post_processor = post(tok)
    return tok


def split(*patterns):
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(p), "isolated") for p in patterns] +
        [pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False)])


ADDED = [AddedToken("<|im_start|>", special=True, normalized=False),
         AddedToken("<|im_end|>", special=True, normalized=False, rstrip=True),
         AddedToken("<think>", special=False, normalized=False),
         AddedToken("<mask>", special=True, normalized=False, lstrip=True),
         AddedToken("word", special=False, normalized=False, single_word=True),
         AddedToken("Café", special=False, normalized=True)]


def gpt2():
    return byte_level(pre_tokenizers.ByteLevel(add_prefix_space=True), added=ADDED)


def llama3():
    def post(tok):
        bos = tok.token_to_id("<|im_start|>")
        return processors.Sequence([
            processors.ByteLevel(trim_offsets=False),
            processors.TemplateProcessing(single="<|im_start|> $A", special_tokens=[
                ("<|im_start|>", bos)])])
    return byte_level(split(GPT4), size=600, added=ADDED, post=post, ignore=True)


def qwen():
    return byte_level(split(GPT4.replace("{1,3}", "")), normalizers.NFC(), added=ADDED)


def deepseek():
    return byte_level(split(*DEEPSEEK))


def kimi():
    return byte_level(split(KIMI))


def digits():
    return byte_level(pre_tokenizers.Sequence([
        pre_tokenizers.Digits(individual_digits=True),
        pre_tokenizers.Punctuation("contiguous"),
        pre_tokenizers.Split(" ", "merged_with_next"),
        pre_tokenizers.ByteLevel(add_prefix_space=False)]))


def metaspace_llama():
    """As Llama 2: the normalizer writes the spaces."""
    tok = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=True, byte_fallback=True))
    tok.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    tok.train_from_iterator([line.replace(" ", "▁")[:60] for line in corpus()], bpe_trainer(
        800, special_tokens=["<unk>", "<s>", "</s>"] + ["<0x%02X>" % c for c in range(256)],
        limit_alphabet=150, max_token_length=10))
    tok.decoder = decoders.Sequence([decoders.Replace("▁", " "), decoders.ByteFallback(),
                                     decoders.Fuse(), decoders.Strip(" ", 1, 0)])
    data = json.loads(tok.to_str())  # the trainer takes the bytes as special tokens only
    data["added_tokens"] = [t for t in data["added_tokens"] if not t["content"].startswith("<0x")]
    return Tokenizer.from_str(json.dumps(data))


def metaspace_first():
    tok = Tokenizer(models.BPE(unk_token="<unk>", fuse_unk=False))
    tok.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first")
    tok.decoder = decoders.Metaspace(prepend_scheme="first")
    tok.train_from_iterator(corpus(), bpe_trainer(400, special_tokens=["<unk>"], limit_alphabet=100))
    tok.add_tokens(ADDED[:4])
    return tok


def clip():
    """End-of-word suffixes and lower case."""
    tok = Tokenizer(models.BPE(unk_token="<unk>", end_of_word_suffix="</w>"))
    tok.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Replace(Regex(r"\s+"), " "),
                                           normalizers.Lowercase()])
    tok.pre_tokenizer = pre_tokenizers.Sequence([
        pre_tokenizers.Split(Regex(r"'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"),
                             "removed", invert=True)])
    tok.decoder = decoders.BPEDecoder(suffix="</w>")
    tok.train_from_iterator(corpus(), bpe_trainer(500, special_tokens=["<unk>"],
                                                  end_of_word_suffix="</w>", limit_alphabet=120))
    return tok


def unigram():
    tok = Tokenizer(models.Unigram())
    tok.normalizer = normalizers.Sequence([normalizers.Nmt(), normalizers.NFKC(),
                                           normalizers.Replace(Regex(" {2,}"), " ")])
    tok.pre_tokenizer = pre_tokenizers.Metaspace()
    tok.decoder = decoders.Metaspace()
    tok.train_from_iterator(corpus(), trainers.UnigramTrainer(
        vocab_size=500, special_tokens=["<unk>", "<s>", "</s>"], unk_token="<unk>",
        show_progress=False))
    data = json.loads(tok.to_str())  # few digits: the library reads long ones to one bit less
    data["model"]["vocab"] = [[text, round(score, 6)] for text, score in data["model"]["vocab"]]
    return Tokenizer.from_str(json.dumps(data))


def bert():
    tok = Tokenizer(models.WordPiece(unk_token="[UNK]", max_input_chars_per_word=20))
    tok.normalizer = normalizers.BertNormalizer()
    tok.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    tok.decoder = decoders.WordPiece()
    tok.train_from_iterator(corpus(), trainers.WordPieceTrainer(
        vocab_size=500, special_tokens=["[UNK]", "[CLS]", "[SEP]"], show_progress=False,
        limit_alphabet=150))
    tok.post_processor = processors.BertProcessing(("[SEP]", 2), ("[CLS]", 1))
    return tok


def wordlevel():
    tok = Tokenizer(models.WordLevel(unk_token="[UNK]"))
    tok.normalizer = normalizers.Sequence([normalizers.NFD(), normalizers.StripAccents(),
                                           normalizers.Strip()])
    tok.pre_tokenizer = pre_tokenizers.Whitespace()
    tok.train_from_iterator(corpus(), trainers.WordLevelTrainer(
        vocab_size=300, special_tokens=["[UNK]"], show_progress=False))
    return tok


HF = {f.__name__: f for f in (gpt2, llama3, qwen, deepseek, kimi, digits, metaspace_llama,
                              metaspace_first, clip, unigram, bert, wordlevel)}


R = Regex
STEPS = {  # normalizer and pre-tokenizer, each seen through a model whose tokens are characters
    "steps_nfkd": (normalizers.Sequence([normalizers.NFKD(), normalizers.StripAccents(),
                                         normalizers.Strip(True, False)]),
                   pre_tokenizers.CharDelimiterSplit("a")),
    "steps_nfkc": (normalizers.NFKC(), pre_tokenizers.FixedLength(3)),
    "steps_lower": (normalizers.Sequence([normalizers.Lowercase(), normalizers.Strip()]),
                    pre_tokenizers.Digits(False)),
    "steps_replace": (normalizers.Sequence([normalizers.Prepend("x"),
                                            normalizers.Replace(R("[aeiou]+"), "E"),
                                            normalizers.Replace("l", "LL")]),
                      pre_tokenizers.WhitespaceSplit()),
    "steps_bytes": (normalizers.ByteLevel(), pre_tokenizers.Split(R("Ġ"), "merged_with_previous")),
    "steps_bytes_next": (None, pre_tokenizers.Sequence([
        pre_tokenizers.ByteLevel(), pre_tokenizers.Split("Ġ", "merged_with_next")])),
    "steps_bert": (normalizers.BertNormalizer(lowercase=False, strip_accents=False),
                   pre_tokenizers.BertPreTokenizer()),
    "steps_punctuation": (None, pre_tokenizers.Punctuation("merged_with_previous")),
    "steps_punctuation_next": (None, pre_tokenizers.Punctuation("merged_with_next")),
    "steps_punctuation_none": (None, pre_tokenizers.Punctuation("removed")),
    "steps_invert": (None, pre_tokenizers.Split(R(r"\w+"), "contiguous", invert=True)),
    "steps_empty": (None, pre_tokenizers.Split(R(r"\b|x*"), "merged_with_next")),
    "steps_borders": (None, pre_tokenizers.Split(R(r"(?=(\d{3})+(?!\d))"), "isolated")),
    "steps_thousands": (None, pre_tokenizers.Split(R(r"\d{1,3}(?=(?:\d{3})*\b)"), "isolated")),
    "steps_line_end": (None, pre_tokenizers.Split(R(r"\s+$"), "isolated")),
    "steps_metaspace": (None, pre_tokenizers.Metaspace(prepend_scheme="never", split=False)),
    "steps_whitespace": (None, pre_tokenizers.Whitespace()),
}


def make_steps(name):
    """Characters with and without the mark of a word's end, so that the pieces show in the ids."""
    normalizer, pre = STEPS[name]
    rng = random.Random(name)
    texts = [MORE] + [old_enough("bert", random_text(rng))[:60] for _ in range(100)]
    seen = set("xEL ▁Ġ") | set(" ".join(texts)[:4000])
    vocab = {"<unk>": 0}
    for c in sorted(seen):
        vocab[c] = len(vocab)
        vocab[c + "</w>"] = len(vocab)
    tok = Tokenizer(models.BPE(vocab, [], unk_token="<unk>", end_of_word_suffix="</w>"))
    if normalizer:
        tok.normalizer = normalizer
    tok.pre_tokenizer = pre
    tok.decoder = decoders.BPEDecoder(suffix="</w>")
    (OUT / name).mkdir(parents=True)
    tok.save(str(OUT / name / "tokenizer.json"), pretty=False)
    return texts


def hf_oracle(folder):
    tok = Tokenizer.from_file(str(folder / "tokenizer.json"))
    specials = [t.content for t in tok.get_added_tokens_decoder().values()]
    return (lambda s: tok.encode(s, add_special_tokens=False).ids,
            lambda ids: tok.decode(ids, skip_special_tokens=False), specials)


SENTENCEPIECE = {
    "spm_bpe": dict(model_type="bpe", vocab_size=600, byte_fallback=True, character_coverage=0.98,
                    normalization_rule_name="identity", remove_extra_whitespaces=False,
                    user_defined_symbols=["<think>", "\u2581\u2581\u2581"]),
    "spm_bpe_nmt": dict(model_type="bpe", vocab_size=500, character_coverage=0.98,
                        user_defined_symbols=["<sep>"]),
    "spm_unigram": dict(model_type="unigram", vocab_size=500, character_coverage=0.98,
                        user_defined_symbols=["<sep>"]),
    "spm_unigram_bytes": dict(model_type="unigram", vocab_size=600, byte_fallback=True,
                              character_coverage=0.98, add_dummy_prefix=False,
                              normalization_rule_name="identity"),
}


def spm_oracle(folder):
    sp = sentencepiece.SentencePieceProcessor(model_file=str(folder / "tokenizer.model"))
    return (sp.encode, lambda ids: None if sp.unk_id() in ids else sp.decode(ids),
            ["<sep>", "<think>"])


def make_tiktoken(folder):
    """Ranks from the merges of a byte-level BPE tokenizer."""
    tok = json.loads(byte_level(split(GPT4), size=600).to_str())
    byte_of = {c: b for b, c in enumerate_alphabet()}
    tokens = sorted((i, bytes(byte_of[c] for c in t)) for t, i in tok["model"]["vocab"].items()
                    if i > 0)
    ranked = sorted(tokens, key=lambda e: (len(e[1]) > 1, e[0]))
    lines = [base64.b64encode(t) + b" %d\n" % rank for rank, (_, t) in enumerate(ranked)]
    (folder / "cl100k_base.tiktoken").write_bytes(b"".join(lines))


def enumerate_alphabet():
    shown = [*range(33, 127), *range(161, 173), *range(174, 256)]
    hidden = [b for b in range(256) if b not in shown]
    return [(b, chr(b)) for b in shown] + [(b, chr(256 + i)) for i, b in enumerate(hidden)]


CL100K = (r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+| ?[^\s\p{L}\p{N}]++[\r\n]*+"
          r"|\s++$|\s*[\r\n]|\s+(?!\S)|\s")


def tiktoken_oracle(folder):
    lines = (folder / "cl100k_base.tiktoken").read_bytes().split(b"\n")
    ranks = {base64.b64decode(t): int(r) for t, r in (line.split() for line in lines if line)}
    enc = tiktoken.Encoding("small", pat_str=CL100K, mergeable_ranks=ranks, special_tokens={})
    return enc.encode_ordinary, lambda ids: enc.decode(ids, errors="strict"), []


def oracles():
    """Name and oracle (encode, decode, special tokens) of each folder."""
    for name in (*HF, *STEPS):
        yield name, hf_oracle(OUT / name)
    for name in SENTENCEPIECE:
        yield name, spm_oracle(OUT / name)
    yield "tiktoken", tiktoken_oracle(OUT / "tiktoken")


def make_all():
    shutil.rmtree(OUT, ignore_errors=True)
    for name, make in HF.items():
        (OUT / name).mkdir(parents=True)
        make().save(str(OUT / name / "tokenizer.json"), pretty=False)
    for name, options in SENTENCEPIECE.items():
        (OUT / name).mkdir(parents=True)
        sentencepiece.SentencePieceTrainer.train(
            sentence_iterator=iter(line.strip() for line in corpus()), num_threads=1,
            model_prefix=str(OUT / name / "tokenizer"), minloglevel=2, **options)
        (OUT / name / "tokenizer.vocab").unlink()
    (OUT / "tiktoken").mkdir()
    make_tiktoken(OUT / "tiktoken")


FIXED = ["", " ", "Hello world", "  two  spaces ", "\n\n", "I'll don't 'S it'ſ", "12345 3.14", MORE,
         "x" * 40, "中文、日本語", "e\u0301 \u0301", "\u00a0\u3000\u200b", "</s><s>", "▁a ▁", "\u0000a"]


def main():
    make_all()
    step_texts = {name: make_steps(name) for name in STEPS}
    for name, (encode, decode, specials) in oracles():
        rng = random.Random(name)
        texts = FIXED + [old_enough(name, random_text(rng, specials)) for _ in range(185)]
        texts = step_texts.get(name, texts)
        cases = []
        for text in texts:
            ids = encode(text)
            cases.append([text, ids, None if name in SENTENCEPIECE and "▁" in text else decode(ids)])
        lines = ",\n".join(json.dumps(c, ensure_ascii=True) for c in cases)
        (OUT / name / "cases.json").write_text("[%s]\n" % lines)


if __name__ == "__main__":
    main()
