#!/usr/bin/env python3
"""Holds JSON-Schema masks against the jsonschema package: check_schemas.py SAMPLER VOCAB.gguf [N]
or, with a model in place of the sampler: check_schemas.py --run TANDEM MODEL.gguf [N]

Makes N random schemas (200). Every finished output must validate; with the sampler, every instance
made for a schema must also be accepted, compact and indented. What n_max cut is counted apart."""
import json
import random
import subprocess
import sys

import jsonschema

WORDS = ["name", "age", "id", "tags", "city", "é", "a b", "x", "quote\"d", "list", "nested", "flag"]
PATTERNS = [("^[a-z]{2,5}$", "abc"), (r"^\d{3}-\d{4}$", "123-4567"), ("^(foo|ba[rz])+$", "foobar"),
            ("b+", "xbby"), (r"^\w+\s\S*$", "ab c\""), ("^[^x]*$", "a\\b\"\n"), ("^a|c$", "a--")]


def schema(r, depth, defs):
    kinds = ["string", "integer", "number", "boolean", "null", "enum", "const", "pattern", "format",
             "multi", "any"]
    if depth > 0:
        kinds += ["object", "object", "object", "array", "array", "prefix", "anyOf", "allOf", "ref", "map"]
    kind = r.choice(kinds)
    if kind == "string":
        s = {"type": "string"}
        if r.random() < 0.6:
            s["minLength"] = r.randrange(4)
        if r.random() < 0.6:
            s["maxLength"] = s.get("minLength", 0) + r.randrange(60)
        return s
    if kind in ("integer", "number"):
        s = {"type": kind}
        scale = r.choice([1, 20, 10**6, 10**15])
        low = r.randint(-scale, scale) if kind == "integer" or r.random() < 0.5 else round(r.uniform(-scale, scale), 3)
        if r.random() < 0.6:
            s[r.choice(["minimum", "exclusiveMinimum"])] = low
        if r.random() < 0.6:
            s[r.choice(["maximum", "exclusiveMaximum"])] = low + 2 + r.choice([0, 7, scale, 0.25 if kind == "number" else 3])
        return s
    if kind in ("boolean", "null"):
        return {"type": kind}
    if kind == "enum":
        return {"enum": r.sample(["a", "b\"", 1, -2.5, None, True, [1, {"z": "y"}], {"k": []}], 3)}
    if kind == "const":
        return {"const": r.choice(["v", 7, False, {"a": [1]}])}
    if kind == "pattern":
        return {"type": "string", "pattern": r.choice(PATTERNS)[0]}
    if kind == "format":
        return {"type": "string", "format": r.choice(["date", "time", "date-time", "uuid", "ipv4", "email", "uri"])}
    if kind == "multi":
        return {"type": r.sample(["string", "integer", "null", "boolean", "number"], 2)}
    if kind == "any":
        return r.choice([{}, True])
    if kind == "object":
        names = r.sample(WORDS, r.randrange(5))
        s = {"type": "object", "properties": {n: schema(r, depth - 1, defs) for n in names},
             "required": [n for n in names if r.random() < 0.5]}
        if r.random() < 0.5:
            s["additionalProperties"] = r.choice([False, True, schema(r, depth - 2, defs) if depth > 1 else False])
        return s
    if kind == "map":
        return {"type": "object", "additionalProperties": schema(r, depth - 1, defs)}
    if kind == "array":
        s = {"type": "array", "items": schema(r, depth - 1, defs)}
        if r.random() < 0.5:
            s["minItems"] = r.randrange(4)
        if r.random() < 0.7:
            s["maxItems"] = s.get("minItems", 0) + r.randrange(5)
        return s
    if kind == "prefix":
        return {"type": "array", "prefixItems": [schema(r, depth - 1, defs) for _ in range(r.randrange(1, 4))],
                "items": r.choice([False, {"type": "integer"}]), "minItems": r.randrange(2)}
    if kind == "anyOf":
        return {"anyOf": [schema(r, depth - 1, defs) for _ in range(r.randrange(1, 4))]}
    if kind == "allOf":
        a, b = r.sample(WORDS, 2)
        return {"allOf": [{"type": "object", "properties": {a: schema(r, depth - 1, defs)}, "required": [a]},
                          {"properties": {b: {"type": "integer", "minimum": 0}, a: {}}}]}
    return {"$ref": "#/$defs/" + r.choice(defs)}


def any_value(r, depth=2):
    if depth and r.random() < 0.3:
        return r.choice([[any_value(r, depth - 1)], {"k": any_value(r, depth - 1)}])
    return r.choice([None, True, 12, -0.5, 1e20, "text é\n\"\\ \U0001F999", ""])


def instance(r, s, root, depth=0):
    """A valid instance, or raises."""
    if depth > 12:
        raise ValueError("too deep")
    if s is True or s == {}:
        return any_value(r)
    if "$ref" in s:
        return instance(r, root["$defs"][s["$ref"].split("/")[-1]], root, depth + 1)
    if "enum" in s:
        return r.choice(s["enum"])
    if "const" in s:
        return s["const"]
    if "anyOf" in s:
        return instance(r, r.choice(s["anyOf"]), root, depth + 1)
    if "allOf" in s:
        (a, sa), = s["allOf"][0]["properties"].items()
        out = {a: instance(r, sa, root, depth + 1)}
        b = next(iter(s["allOf"][1]["properties"]))
        if r.random() < 0.5:
            out[b] = r.randrange(1000)
        return out
    t = s["type"] if isinstance(s["type"], str) else r.choice(s["type"])
    if t == "string":
        if "pattern" in s:
            return dict(PATTERNS)[s["pattern"]]
        if "format" in s:
            return {"date": "2024-02-29", "time": "12:34:56Z", "date-time": "1999-12-31T23:59:59.5+01:00",
                    "uuid": "12345678-1234-abcd-ABCD-123456789abc", "ipv4": "192.168.0.1",
                    "email": "jo.e+x@mail.example.org", "uri": "anything"}[s["format"]]
        low = s.get("minLength", 0)
        n = r.randint(low, s.get("maxLength", low + 20))
        return "".join(r.choice("abc \"\\\n\té漢\U0001F999/") for _ in range(n))
    if t in ("integer", "number"):
        low = s.get("minimum", s.get("exclusiveMinimum", s.get("maximum", s.get("exclusiveMaximum", 0)) - 9))
        high = s.get("maximum", s.get("exclusiveMaximum", low + 9))
        return r.randint(int(low) + 1, max(int(low) + 1, int(high) - 1)) if t == "integer" else float("%.13g" % ((low + high) / 2))
    if t == "boolean":
        return r.random() < 0.5
    if t == "null":
        return None
    if t == "array":
        items = s.get("prefixItems", [])
        low = s.get("minItems", 0)
        if "prefixItems" in s:
            n = r.randint(low, len(items))
            return [instance(r, i, root, depth + 1) for i in items[:n]]
        return [instance(r, s["items"], root, depth + 1) for _ in range(r.randint(low, s.get("maxItems", low + 3)))]
    out = {}
    for name, sub in s.get("properties", {}).items():
        if name in s["required"] or r.random() < 0.5:
            out[name] = instance(r, sub, root, depth + 1)
    more = s.get("additionalProperties", True if not s.get("properties") else False)
    if more is not False and r.random() < 0.7:
        for name in r.sample(["extra", "na", "names", "", "éa"], 2):
            out[name] = instance(r, more, root, depth + 1)
    return out


def make(seed):
    r = random.Random(seed)
    defs = ["A", "B"]
    s = schema(r, 3, defs)
    if s is True or not isinstance(s, dict):
        s = {}
    s["$defs"] = {d: {"type": "object", "properties": {"v": schema(r, 1, []) if i else {"type": "integer"},
                                                       "next": {"$ref": "#/$defs/" + d}}, "required": ["v"]}
                  for i, d in enumerate(defs)} if True else {}
    return s, r


def safe_make(seed):
    while True:
        try:
            return make(seed)
        except (IndexError, ValueError):
            seed += 100000


def main():
    live = sys.argv[1] == "--run"
    program, model = sys.argv[2:4] if live else sys.argv[1:3]
    n = int((sys.argv[4:5] if live else sys.argv[3:4] or ["200"])[0])
    process = None if live else subprocess.Popen([program, model], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    counts = dict(valid=0, cut=0, invalid=0, refused=0, accepted=0, rejected=0)
    for seed in range(n):
        s, r = safe_make(seed)
        validator = jsonschema.Draft202012Validator(s)
        texts = []
        for _ in range(0 if live else 20):
            try:
                value = instance(r, {k: v for k, v in s.items() if k != "$defs"}, s)
            except ValueError:
                continue
            if validator.is_valid(value):
                texts.append(json.dumps(value, ensure_ascii=False, separators=(",", ":")))
                texts.append(json.dumps(value, ensure_ascii=False, indent=2))
                texts.append(json.dumps(value, ensure_ascii=False))
        if live:
            done = subprocess.run([program, "run", model, "--json-schema", json.dumps(s), "-n", "400", "--temp", "1",
                                   "--seed", str(seed), "-p", "Write a JSON document."], capture_output=True)
            answer = {"text": done.stdout.decode(errors="replace"), "accepted": [], "finished": True}
            if done.returncode:
                answer = {"error": done.stderr.decode()}
            else:
                try:
                    json.loads(answer["text"])
                except ValueError:
                    answer["finished"] = False
        else:
            request = {"schema": json.dumps(s), "seed": seed, "n_max": 400, "texts": texts}
            process.stdin.write(json.dumps(request).encode() + b"\n")
            process.stdin.flush()
            answer = json.loads(process.stdout.readline().decode("utf-8", "replace"))
        if "error" in answer:
            counts["refused"] += 1
            print("refused %d: %s" % (seed, answer["error"]))
            continue
        if not answer["finished"]:
            counts["cut"] += 1
        else:
            try:
                validator.validate(json.loads(answer["text"]))
                counts["valid"] += 1
            except (ValueError, jsonschema.ValidationError) as e:
                counts["invalid"] += 1
                print("INVALID %d: %s\n  %s\n  %s" % (seed, json.dumps(s, ensure_ascii=False), answer["text"], str(e)[:300]))
        for text, ok in zip(texts, answer["accepted"]):
            counts["accepted" if ok else "rejected"] += 1
            if not ok:
                print("REJECTED %d: %s\n  %r" % (seed, json.dumps(s, ensure_ascii=False), text))
    print(counts)
    sys.exit(counts["invalid"] > 0)


if __name__ == "__main__":
    main()
