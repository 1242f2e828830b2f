#!/usr/bin/env python3
"""KTransformers' own rule files on its own models, module by module: td-rules against resolve.py.

Every file x every model of the oracle x every era: entries, keys, classes, kwargs and order, and how
many modules each rule wins and would match.  Prints TAP; skipped without ../shared.
"""
import json
import pathlib
import tempfile

import oracle

resolve = oracle.load_oracle()


def compare(rules, root, era, device, line):
    hits = [[] for _ in rules]
    config = resolve.resolve(root, rules, era, device, hits=hits)
    ours = json.loads(line)
    if "error" in ours:
        return ours["error"]
    difference = oracle.first_difference(oracle.read_entries(ours), oracle.entries_of(resolve, config))
    if difference:
        return difference
    counts = {"won": hits}
    if era == "v032":  # the same in every era
        counts["matched"] = resolve.full_candidates(root, rules)
    for what, theirs in counts.items():
        theirs = [len(x) for x in theirs]
        if ours[what] != theirs:
            return "%s: ours %s, theirs %s" % (what, ours[what], theirs)
    return None


def main():
    files = sorted((oracle.SHARED / "yaml").rglob("*.yaml"))
    assert len(files) == 38, len(files)
    status = n = 0
    rules = {path: resolve.load_rules(path) for path in files}
    roots = {model: resolve.build_tree(make()) for model, make in resolve.MODELS.items()}
    with tempfile.TemporaryDirectory() as tmp:
        for model, make in resolve.MODELS.items():
            oracle.write_modules(pathlib.Path(tmp) / model, make())
        for era, device in (("v032", "npu:1"), ("v012", "npu:1"), ("v010", "cuda:0")):
            work = [(path, model) for path in files for model in roots]
            lines = oracle.run("resolve", era, device,
                               *[x for path, model in work for x in (path, pathlib.Path(tmp) / model)])
            assert len(lines) == len(work)
            bad = 0
            for (path, model), line in zip(work, lines):
                difference = compare(rules[path], roots[model], era, device, line)
                if difference:
                    print("  %s x %s: %s" % (path.name, model, difference[:600]))
                    bad += 1
            n += 1
            status |= bad > 0
            print("%s %d - %s, default device %s: %d files x %d models" %
                  ("not ok" if bad else "ok", n, era, device, len(files), len(roots)), flush=True)
    return 1 if status else 0


raise SystemExit(main())
