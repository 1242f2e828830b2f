#!/usr/bin/env python3
"""Writes src/text/pretokenizers.c from ../shared/pretokenizers.json.

    tools/gen-pretokenizers.py ../shared/pretokenizers.json > src/text/pretokenizers.c

The JSON holds the patterns as llama.cpp has them, some of them bent to what its own regex engine can
do.  Here they become PCRE2's again: see REPLACE and EXACT below.  The patterns are facts of the
models' tokenizers.
"""
import json
import sys

CONTRACTIONS = "(?i:'s|'t|'re|'ve|'m|'ll|'d)"

# Parts spelled out for an engine without (?i:...): the original also takes U+017F for an s.
REPLACE = [
    ("(?:'[sS]|'[tT]|'[rR][eE]|'[vV][eE]|'[mM]|'[lL][lL]|'[dD])", CONTRACTIONS),
    ("'(?:[sSdDmMtT]|[lL][lL]|[vV][eE]|[rR][eE])", "'(?i:[sdmt]|ll|ve|re)"),
    # Runs of these never need to give anything back, and say so, or a long one fills the stack.
    (r"(?:\p{L}\p{M}*(?: \p{L}\p{M}*)*)+", r"(?:\p{L}\p{M}*+(?: \p{L}\p{M}*+)*+)++"),
]

UPPER = r"\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}"
LOWER = r"\p{Ll}\p{Lm}\p{Lo}\p{M}"
# The same without Han characters, turned inside out: what is in none of the other categories.
NOT_HAN_UPPER = r"^\p{Ll}\p{N}\p{P}\p{S}\p{Z}\p{C}\p{sc:Han}"
NOT_HAN_LOWER = r"^\p{Lu}\p{Lt}\p{N}\p{P}\p{S}\p{Z}\p{C}\p{sc:Han}"
REST = r" ?[^\s\p{L}\p{N}]+[\r\n%s]*|\s*[\r\n]+|\s+(?!\S)|\s+"


def cased(upper, lower, tail):
    """Words by case: capitals first, then small letters."""
    prefix = r"[^\r\n\p{L}\p{N}]?"
    return f"{prefix}[{upper}]*[{lower}]+{tail}|{prefix}[{upper}]+[{lower}]*{tail}"


GPT_4O = cased(UPPER, LOWER, CONTRACTIONS + "?") + r"|\p{N}{1,3}|" + REST % "/"

# Whole pre-tokenizers whose pattern in the JSON stands for another one.
EXACT = {name: [GPT_4O] for name in
         ("gpt-4o", "kanana2", "llama4", "minimax-m2", "talkie", "granite-embed-multi-97m")}
EXACT["tekken"] = [cased(UPPER, LOWER, "") + r"|\p{N}|" + REST % "/"]
EXACT["kimi-k2"] = [r"\p{sc:Han}+|" +
                    cased(NOT_HAN_UPPER, NOT_HAN_LOWER, CONTRACTIONS + "?") +
                    r"|\p{N}{1,3}|" + REST % ""]

# A stage that would look at a run of spaces once for each of its places.
STAGE = {r"\s+$": r"(?<!\s)\s++\z"}

# Names for patterns that are not a model's own; the others get the name of a model that has them.
NAMES = {
    r"\p{N}": "ONE_DIGIT",
    r"\p{N}+": "DIGITS",
    r"\p{N}{1,3}": "UP_TO_3_DIGITS",
    r"[0-9][0-9][0-9]": "THREE_DIGITS",
    r"[\r\n]": "LINE_BREAK",
    r"(?<!\s)\s++\z": "SPACE_AT_END",
    r"[^\n]+|[\n]+": "LINES",
    r"[\x{4E00}-\x{9FA5}\x{800}-\x{4E00}\x{AC00}-\x{D7FF}]+": "DEEPSEEK_CJK",
    r"[\x{4E00}-\x{9FA5}\x{3040}-\x{309F}\x{30A0}-\x{30FF}]+": "DEEPSEEK_V3_CJK",
}
FLAGS = [("add_bos", "TD_PRETOKENIZER_BOS"), ("ignore_merges", "TD_PRETOKENIZER_WHOLE"),
         ("escape_whitespaces", "TD_PRETOKENIZER_SPACED"), ("lines", "TD_PRETOKENIZER_LINES"),
         ("plain", "TD_PRETOKENIZER_PLAIN")]
PREFERRED = ("gpt-2", "llama3", "qwen2", "gpt-4o", "deepseek-v3")

COMMENT = """/* pretokenizers.c - the split patterns of the models' tokenizers, by their GGUF names.
 *
 * Written by tools/gen-pretokenizers.py: change that, not this.  The patterns are facts of the
 * models; llama.cpp (MIT) was where they were read.  pretokenize.h names the dialect. */
#include "text/pretokenize.h"

"""


# Grouped from the right end of a number: known by their text (thousands.c), so left as they are.
BY_TEXT = (r"\p{AFMoE_digits}", r"\d{1,3}(?=(?:\d{3})*\b)", r"(?=(\d{3})+(?!\d))")


def to_pcre(pattern):
    if pattern in BY_TEXT:
        return pattern
    for old, new in REPLACE:
        pattern = pattern.replace(old, new)
    pattern = STAGE.get(pattern, pattern)
    plain = {"\r": r"\r", "\n": r"\n"}
    return "".join(plain.get(c) or (c if ord(c) < 0x80 else "\\x{%X}" % ord(c)) for c in pattern)


def c_string(pattern, width=90):
    """Adjacent C literals, cut before an alternative or else before an escape."""
    escaped = pattern.replace("\\", "\\\\").replace('"', '\\"')
    lines = []
    while len(escaped) > width:
        cut = max(escaped.rfind("|", 1, width), 0)
        if cut < width // 3:
            cut = escaped.rfind("\\\\", 1, width)
            if escaped[cut - 1] == "\\":  # inside an escaped backslash
                cut -= 1
        lines.append(escaped[:cut])
        escaped = escaped[cut:]
    lines.append(escaped)
    return "\n    ".join(f'"{part}"' for part in lines)


def main():
    table = json.load(open(sys.argv[1], encoding="utf-8"))
    rows, patterns = [], {}
    for name in sorted(table, key=lambda s: s.encode()):
        entry = table[name]
        entry["plain"] = entry.get("byte_level") is False and not entry.get("escape_whitespaces")
        entry["lines"] = entry["kind"] == "gemma4"
        stages = [to_pcre(p) for p in EXACT.get(name, entry["regexes"])]
        for stage in stages:
            patterns.setdefault(stage, []).append(name)
        rows.append((name, stages, entry))

    ids, used = {}, set()
    for pattern, names in patterns.items():
        known = [n for n in PREFERRED if n in names]
        base = NAMES.get(pattern) or (known or names)[0].upper().replace("-", "_")
        ident, i = base, 2
        while ident in used:
            ident, i = f"{base}_{i}", i + 1
        used.add(ident)
        ids[pattern] = ident

    out = [COMMENT, "/* clang-format off */\n"]
    for pattern in patterns:
        out.append(f"#define {ids[pattern]} \\\n    " +
                   c_string(pattern).replace("\n", " \\\n") + "\n")
    out.append("\nstatic const td_pretokenizer_def table[] = {\n")
    for name, stages, entry in rows:
        flags = ", " + (" | ".join(flag for key, flag in FLAGS if entry.get(key)) or "0")
        listed = ", ".join(ids[s] for s in stages)
        row = f'    {{"{name}", {{{listed}}}{flags}}},\n'
        if len(row) > 100:
            row = f'    {{"{name}",\n     {{{listed}}}{flags}}},\n'
        out.append(row)
    out.append("};\n/* clang-format on */\n\n")
    out.append("const td_pretokenizer_def *td_pretokenizer_all(size_t *n) {\n"
               "    *n = sizeof table / sizeof *table;\n    return table;\n}\n")
    sys.stdout.write("".join(out))


main()
