#!/usr/bin/env python3
"""Compares Tandem's tokenizers with the live libraries on many random strings.

    check_tokenizers.py BUILD_DIR [N] [NAME ...]

For each tokenizer of tokenizers/ (make_tokenizers.py): N random texts (10000), how many of them get
other ids, and how many that the library restores from its ids Tandem does not.  Exits with 1 if any.
"""
import json
import random
import subprocess
import sys

import make_tokenizers as golden


def check(build, name, oracle, n):
    encode, decode, specials = oracle
    rng = random.Random("check " + name)
    texts = [golden.old_enough("bert" if name in golden.STEPS else name,
                                golden.random_text(rng, specials)) for _ in range(n)]
    lines = "".join(json.dumps(t) + "\n" for t in texts)
    done = subprocess.run([build + "/tests/test_tokenizers", str(golden.OUT / name)], input=lines,
                          capture_output=True, text=True)
    got = done.stdout.splitlines()
    if len(got) != n:
        print("%s: %d answers of %d: %s" % (name, len(got), n, done.stderr))
        return 1
    other = broken = restored = 0
    for text, line in zip(texts, got):
        end = line.index("]") + 1
        ids, decoded = json.loads(line[:end]), bytes.fromhex(line[end:].strip())
        want = encode(text)
        if ids != want:
            other += 1
            if other <= 3:
                print("  %s\n    got    %s\n    wanted %s" % (ascii(text), ids, want))
        try:
            same = decode(want) == text
        except UnicodeDecodeError:
            same = False
        restored += same
        broken += same and decoded != text.encode()
    print("%-18s %d texts, %d with other ids; %d restored by the library, %d of them not by us" % (
        name, n, other, restored, broken), flush=True)
    return other + broken


def main():
    build, n = sys.argv[1], int(sys.argv[2]) if len(sys.argv) > 2 else 10000
    names = sys.argv[3:]
    bad = sum(check(build, name, oracle, n) for name, oracle in golden.oracles()
              if not names or name in names)
    sys.exit(1 if bad else 0)


if __name__ == "__main__":
    main()
