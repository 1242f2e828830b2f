#!/usr/bin/env python3
"""Random templates through ours and through jinja2 as transformers sets it up; prints the differences.

usage: check_jinja.py BUILD [--count N] [--seed S] [--show K]

BUILD is a build folder with libtandem.a; the driver jinja/render_many.c is compiled against it.
A template is compared by its text, or by failing; for raise_exception also by its message.  Not
counted as differences, but counted: integers beyond 64 bits and the other limits of ours, and
texts that show Python's own objects (addresses, generators, bytes), which no template prints on purpose.

Known differences that turn up, one in some thousand: jinja2 takes a name for undefined inside the
{% set name %} block that sets it, if the template has not read it before, and hides the variables of
a loop from a {% block %} inside; folds constants with other
rules than it runs (5[:] is undefined there); asks str.isdigit where int() then fails ('²').
"""
import argparse
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import warnings

import jinja2
from transformers.utils import chat_template_utils as ctu

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..", "..")
PYTHON_OBJECT = re.compile(r" at 0x|<generator|<built-in|<class |<function|<bound method|<jinja2|<Macro|<transformers"
                           r"|Undefined\(|\bb['\"]|_iterator|reversed object|<LoopContext|<async|\d\dL\b|<filter|<map"
                           r"|[0-9]j\b|<Token", re.I)

VARS = {
    "n": 7, "z": 0, "neg": -5, "big": 12345, "f": 2.5, "g": -0.125, "h": 1e20, "tiny": 1e-7, "half": 0.5,
    "s": "Hello, World", "u": "Ünïcode ß 你好 ǆ", "e": "", "w": "  pad\t\n", "num": "42", "hex": "0x1F", "fl": "3.5e2",
    "html": "<b class=\"x\">a & 'b'</b>", "multi": "line one\nline two\r\n\nlast", "csv": "a,b,,c",
    "title": "the quick-brown fox's (tail) \u2013 don't", "fmt": "%s and %d", "braces": "{} {0!r:>5} {x}",
    "l": [3, 1, 2], "ls": ["b", "A", "c", "a"], "mix": [1, "a", None, True, 2.5, [1]], "el": [], "lf": [1.5, 1, 2],
    "d": {"b": 1, "a": "x", "items": [1], "C": None}, "ed": {}, "dn": {"x": {"y": [{"z": "deep"}]}, "k": "v"},
    "t": True, "fa": False, "q": None,
    "m": [{"role": "user", "content": "hi", "n": 1}, {"role": "assistant", "content": None, "n": 3},
          {"role": "user", "content": "Bye <x>", "n": 2, "tool_calls": [{"function": {"name": "f", "arguments": {"a": 1}}}]}],
    "nest": [1, [2, [3, []]]], "pairs": [["k", 1], ["j", 2]],
}
STR = ["s", "u", "e", "w", "num", "hex", "fl", "html", "multi", "csv", "title", "fmt"]
INT = ["n", "z", "neg", "big"]
FLOAT = ["f", "g", "h", "tiny", "half"]
LIST = ["l", "ls", "mix", "el", "lf", "m", "nest", "pairs"]
DICT = ["d", "ed", "dn", "m[0]", "m[2]"]
ANY = STR + INT + FLOAT + LIST + DICT + ["t", "fa", "q", "nope", "d.nope", "nope2"]
LITERALS = ["'a'", "'b'", "''", "' x y '", "'l'", "'é'", "'o, '", "\"it's\"", "'a-b'", "'line\\nfeed'", "'<'", "'%'", "'-7'",
            "'1.50'", "'ß'", "'İ'", "'ΑΣ ΣΑΣ.'", "'\\t'", "'Z'", "'1_000'", "'½'", "'²'", "'\\u00a0'", "'x' 'y'"]
SMALL = ["0", "1", "2", "3", "4", "-1", "-2", "5", "8", "12", "20", "n", "true", "none"] + ["2", "3"] * 3
METHODS = ["'common'", "'ceil'", "'floor'", "'x'"]


class Gen:
    def __init__(self, seed):
        self.r = random.Random(seed)
        self.names = []  # variables set on the way
        self.macros = []
        self.loops = 0

    def pick(self, options):
        return self.r.choice(options)

    def chance(self, p):
        return self.r.random() < p

    # ---- expressions ----

    def expr(self, depth=3):
        kind = self.r.choices(["str", "int", "float", "list", "dict", "bool", "any"], [9, 5, 2, 7, 2, 5, 5])[0]
        return getattr(self, kind)(depth)

    def any(self, depth):
        r = self.r.random()
        if depth <= 0 or r < 0.3:
            if self.names and self.chance(0.4):
                return self.pick(self.names)
            if self.loops and self.chance(0.4):
                return self.loop_attr(depth)
            return self.pick(ANY)
        if r < 0.4:
            return f"{self.any(depth - 1)}.{self.pick(['a', 'b', 'items', 'role', 'x', 'k', 'content', 'upper', '0', '_p', '__class__', 'append', 'y', 'n'])}"
        if r < 0.5:
            return f"{self.any(depth - 1)}[{self.pick([self.int, self.str, self.any])(depth - 1)}]"
        if r < 0.58:
            return f"({self.expr(depth - 1)} if {self.bool(depth - 1)}{self.pick(['', f' else {self.expr(depth - 1)}'])})"
        if r < 0.66:
            return f"({self.expr(depth - 1)} {self.pick(['or', 'and'])} {self.expr(depth - 1)})"
        if r < 0.72:
            return f"{self.expr(depth - 1)}|{self.pick(['default', 'd'])}({self.args(self.expr, depth, 'default_value', self.bool, 'boolean')})"
        if r < 0.78:
            return f"{self.list(depth - 1)}|{self.pick(['first', 'last', 'min', 'max', 'sum', 'length', 'count', 'random_'][:7])}"
        if r < 0.84:
            return f"{self.dict(depth - 1)}.get({self.expr(depth - 1)}{self.pick(['', ', ' + self.any(depth - 1)])})"
        if r < 0.88 and self.macros:
            return self.macro_call(depth)
        if r < 0.92:
            return f"{self.any(depth - 1)}|attr({self.str(0)})"
        return self.expr(depth - 1)

    def loop_attr(self, depth):
        return self.pick(["loop.index", "loop.index0", "loop.first", "loop.last", "loop.length", "loop.revindex", "loop.revindex0",
                          "loop.previtem", "loop.nextitem", "loop.depth", "loop.depth0", "loop.cycle('a', 'b', 'c')",
                          f"loop.changed({self.any(0)})", "loop.nope", "loop"])

    def args(self, *spec):
        """spec: a generator and its depth once, then (name, generator) ...: by place or by name, some left out."""
        first, depth, rest = spec[0], spec[1], spec[2:]
        params = [(first, rest[0])] + [(rest[i], rest[i + 1]) for i in range(1, len(rest) - 1, 2)]
        out, named = [], False
        for gen, name in params:
            if self.chance(0.35):
                if self.chance(0.5):
                    break
                named = True
                continue
            if self.chance(0.3):
                named = True
            out.append((f"{name}=" if named else "") + gen(depth - 1))
        return ", ".join(out)

    def small(self, depth=0):
        return self.pick(SMALL)

    def literal(self, depth=0):
        return self.pick(LITERALS)

    def str(self, depth):
        if self.chance(0.015):
            return self.any(depth - 1)
        if depth <= 0 or self.chance(0.25):
            return self.pick(STR) if self.chance(0.6) else self.pick(LITERALS)
        sub = lambda: self.str(depth - 1)
        r = self.r.random()
        if r < 0.40:
            return self.str_filter(depth)
        if r < 0.68:
            return f"{self.atom(self.str, depth)}.{self.str_method(depth)}"
        if r < 0.73:
            return f"({sub()} + {sub()})"
        if r < 0.79:
            return f"({self.expr(depth - 1)} ~ {self.expr(depth - 1)})"
        if r < 0.82:
            return f"({sub()} * {self.small()})"
        if r < 0.90:
            return f"{self.atom(self.str, depth)}[{self.slice(depth)}]"
        if r < 0.96:
            return f"({self.percent()} % {self.pick([self.tuple, self.any, self.dict, self.int, self.float])(depth - 1)})"
        return f"{self.format_string()}.format({', '.join([self.expr(depth - 1) for _ in range(self.r.randrange(3))] + self.pick([[], ['x=' + self.any(depth - 1)]]))})"

    def atom(self, gen, depth):
        text = gen(depth - 1)
        return text if re.fullmatch(r"[\w.]+|'[^']*'", text) else f"({text})"

    def percent(self):
        return "'" + self.pick(["", "a ", "%% "]) + "%" + self.pick(["", "", "-", "0", "+", " ", "#", "-0", "(x)", "(b)"]) + \
            self.pick(["", "", "5", "3", "10", "*"]) + self.pick(["", "", ".2", ".0", ".10"]) + \
            self.pick(list("sdrfgexXoGEcia") + ["s", "d", "q", "%"]) + self.pick(["", "|", " %s"]) + "'"

    def format_string(self):
        fields = []
        for _ in range(self.r.randrange(1, 3)):
            fields.append("{" + self.pick(["", "", "0", "1", "x", "0.a", "0[0]", "x[b]", "0.role", "0[-1]"]) + self.pick(["", "", "", "!r", "!s", "!a"]) +
                          self.pick(["", "", ":>8", ":<6", ":^7", ":*^9", ":05", ":+", ":.2f", ":,", ":x", ":#x", ":b", ":e", ":g", ":%", ":_", ":.3", ":d",
                                     ":s", ":08.3f", ": d", ":=+7", ":{1}", ":,.1f", ":n", ":c", ":o", ":.0f", ":G", ":10.3s", ":q"]) + "}")
        return "'" + self.pick(["", "{{", "}}", "a "]) + self.pick([" ", ""]).join(fields) + "'"

    def slice(self, depth):
        part = lambda: self.pick(["", "", self.small(), self.small()])
        return part() + ":" + part() + self.pick(["", "", "", ":" + self.pick(["-1", "2", "-2", "0", "", "1"])])

    def tuple(self, depth):
        return "(" + "".join(self.expr(depth - 1) + ", " for _ in range(self.r.randrange(0, 4))) + ")"

    def str_filter(self, depth):
        text = self.pick([self.str, self.str, self.str, self.expr])(depth - 1)
        a = self.args
        name = self.pick(["upper", "lower", "title", "capitalize", "trim", "replace", "center", "indent", "join", "string", "truncate", "escape", "e",
                          "safe", "forceescape", "urlencode", "wordcount", "format", "tojson", "reverse", "length",
                          "list", "int", "float", "first", "last", "default"])
        args = {"trim": lambda: a(self.literal, depth, "chars"), "replace": lambda: f"{self.expr(depth - 2)}, {self.expr(depth - 2)}" + self.pick(["", "", ", 1", ", 0", ", count=2"]),
                "center": lambda: a(self.small, depth, "width"), "indent": lambda: a(self.pick([self.small, self.literal]), depth, "width", self.bool, "first", self.bool, "blank"),
                "join": lambda: a(self.str, depth, "d", self.literal, "attribute"), "truncate": lambda: a(self.small, depth, "length", self.bool, "killwords", self.literal, "end", self.small, "leeway"),
                "format": lambda: ", ".join(self.expr(depth - 2) for _ in range(self.r.randrange(3))),
                "tojson": lambda: self.json_args(), "wordwrap": lambda: a(self.small, depth, "width", self.bool, "break_long_words", self.literal, "wrapstring", self.bool, "break_on_hyphens"),
                "int": lambda: a(self.any, depth, "default", lambda d: self.pick(["10", "16", "2", "8", "0", "36"]), "base"), "float": lambda: a(self.any, depth, "default"),
                "xmlattr": lambda: a(self.bool, depth, "autospace"), "default": lambda: a(self.any, depth, "default_value", self.bool, "boolean"),
                "filesizeformat": lambda: a(self.bool, depth, "binary")}.get(name)
        if name == "format" and self.chance(0.8):
            text = self.percent()
        if name == "xmlattr" and self.chance(0.8):
            text = self.dict(depth - 1)
        if name == "join" and self.chance(0.8):
            text = self.list(depth - 1)
        if name == "filesizeformat":
            text = self.pick([self.int, self.float, self.any])(depth - 1)
        if name in ("tojson", "string", "urlencode") and self.chance(0.6):
            text = self.expr(depth - 1)
        given = args() if args else ""
        return f"{self.wrap(text)}|{name}" + (f"({given})" if given or self.chance(0.1) else "")

    def wrap(self, text):
        return text if re.fullmatch(r"[\w.|]+|'[^']*'", text) else f"({text})"

    def json_args(self):
        out = []
        if self.chance(0.5):
            out.append("indent=" + self.pick(["2", "4", "0", "none", "1", "'\\t'", "-1", "true"]))
        if self.chance(0.3):
            out.append("ensure_ascii=" + self.pick(["true", "false"]))
        if self.chance(0.3):
            out.append("separators=" + self.pick(["(',', ':')", "[', ', ' : ']", "none", "(',',)"]))
        if self.chance(0.3):
            out.append("sort_keys=" + self.pick(["true", "false"]))
        return ", ".join(out)

    def str_method(self, depth):
        lit, sm, st = self.literal, self.small, lambda: self.str(depth - 2)
        return self.pick([
            lambda: f"{self.pick(['upper', 'lower', 'title', 'capitalize', 'swapcase', 'casefold', 'strip', 'lstrip', 'rstrip', 'split', 'rsplit', 'splitlines'])}()",
            lambda: f"{self.pick(['isdigit', 'isalpha', 'isalnum', 'isspace', 'isupper', 'islower', 'istitle', 'isdecimal', 'isnumeric', 'isascii', 'isidentifier', 'isprintable'])}()",
            lambda: f"{self.pick(['strip', 'lstrip', 'rstrip'])}({self.pick([lit(), st(), 'none'])})",
            lambda: f"{self.pick(['split', 'rsplit'])}({self.pick([lit(), st(), 'none'])}{self.pick(['', ', ' + sm(), ', maxsplit=1'])})",
            lambda: f"{self.pick(['startswith', 'endswith', 'find', 'rfind', 'index', 'rindex', 'count'])}({self.pick([lit(), st()])}{self.pick(['', '', ', ' + sm(), ', ' + sm() + ', ' + sm()])})",
            lambda: f"{self.pick(['startswith', 'endswith'])}(({lit()}, {lit()}))",
            lambda: f"replace({lit()}, {self.pick([lit(), st()])}{self.pick(['', '', ', ' + sm()])})",
            lambda: f"{self.pick(['partition', 'rpartition', 'removeprefix', 'removesuffix'])}({lit()})",
            lambda: f"join({self.pick(['ls', 'el', 'mix', st(), self.list(depth - 2)])})",
            lambda: f"{self.pick(['ljust', 'rjust', 'center'])}({sm()}{self.pick(['', ', ' + lit()])})",
            lambda: f"{self.pick(['zfill', 'expandtabs'])}({sm()})",
            lambda: f"splitlines({self.pick(['true', 'false', '1', 'keepends=true'])})",
            lambda: f"{self.pick(['nosuch', '_x', '__len__', 'format_map', 'maketrans'])}()",
        ])()

    def int(self, depth):
        if self.chance(0.015):
            return self.any(depth - 1)
        if depth <= 0 or self.chance(0.3):
            return self.pick(INT) if self.chance(0.5) else self.pick(["0", "1", "2", "3", "10", "-1", "-4", "100", "0x1f", "1_000", "0b11", "0o17", "7"])
        r = self.r.random()
        if r < 0.44:
            return f"({self.number(depth - 1)} {self.pick(['+', '-', '*', '//', '%', '/'])} {self.number(depth - 1)})"
        if r < 0.5:
            return f"({self.pick(['n', 'neg', 'z', '2', '10', 'f', 'g', 't', '-2', '0.5', 's'])} ** {self.pick(SMALL)})"
        if r < 0.6:
            return f"{self.wrap(self.expr(depth - 1))}|{self.pick(['length', 'int', 'count', 'wordcount'])}"
        if r < 0.7:
            return f"{self.wrap(self.number(depth - 1))}|{self.pick(['abs', 'int', 'round', 'float'])}"
        if r < 0.8:
            given = self.args(self.small, depth, "precision", lambda d: self.pick(METHODS), "method")
            return f"{self.wrap(self.number(depth - 1))}|round({given})"
        if r < 0.9:
            return f"{self.pick(['-', '+', '- -'])}{self.wrap(self.number(depth - 1))}"
        return f"{self.list(depth - 1)}|sum" + self.pick(["", "(start=1)", "(attribute='n')", "('n', 2.5)"])

    def number(self, depth):
        return self.pick([self.int, self.int, self.float, self.bool if self.chance(0.2) else self.int])(depth)

    def float(self, depth):
        if depth <= 0 or self.chance(0.5):
            return self.pick(FLOAT) if self.chance(0.5) else self.pick(["1.0", "0.5", "-2.5", "1e3", "3.14159", "1e16", "1.5e-5", "123456.789", "2.675", "0.1", "1e100"])
        return f"({self.number(depth - 1)} {self.pick(['+', '-', '*', '/', '//', '%'])} {self.float(depth - 1)})"

    def list(self, depth):
        if self.chance(0.015):
            return self.any(depth - 1)
        if depth <= 0 or self.chance(0.25):
            return self.pick(LIST) if self.chance(0.7) else "[" + ", ".join(self.pick([self.str, self.int, self.any])(0) for _ in range(self.r.randrange(4))) + "]"
        r = self.r.random()
        if r < 0.08:
            return f"range({self.small()}{self.pick(['', ', ' + self.small(), ', ' + self.small() + ', ' + self.small()])})"
        if r < 0.14:
            return f"{self.atom(self.list, depth)}[{self.slice(depth)}]"
        if r < 0.18:
            return f"({self.list(depth - 1)} + {self.list(depth - 1)})"
        if r < 0.20:
            return f"({self.list(depth - 1)} * {self.small()})"
        if r < 0.26:
            return f"{self.dict(depth - 1)}.{self.pick(['keys', 'values', 'items', 'items', 'copy'])}()"
        if r < 0.29:
            return f"{self.atom(self.list, depth)}.{self.pick(['append', 'pop', 'index', 'count', 'copy', 'insert', 'extend', 'sort', 'reverse', 'remove', 'clear'])}({self.pick(['', self.any(0), '1'])})"
        if r < 0.33:
            return self.tuple(depth)
        base = self.list(depth - 1) if self.chance(0.85) else self.expr(depth - 1)
        a = self.args
        attr = lambda d=0: self.pick(["'role'", "'n'", "'content'", "0", "'0'", "'nope'", "'x.y'", "'role,n'", "1", "'upper'", "'tool_calls.0.function'", "none"])
        name = self.pick(["batch", "slice", "sort", "unique", "reverse", "list", "map", "map", "select", "reject", "selectattr", "rejectattr", "groupby",
                          "dictsort", "items", "min", "max", "first", "last"])
        if name in ("dictsort", "items") and self.chance(0.85):
            base = self.dict(depth - 1)
        if name in ("selectattr", "rejectattr", "groupby") and self.chance(0.7):
            base = "m"
        args = {"batch": lambda: self.small() + self.pick(["", ", " + self.any(0)]), "slice": lambda: self.small() + self.pick(["", ", " + self.any(0)]),
                "sort": lambda: a(self.bool, depth, "reverse", self.bool, "case_sensitive", attr, "attribute"),
                "unique": lambda: a(self.bool, depth, "case_sensitive", attr, "attribute"),
                "min": lambda: a(self.bool, depth, "case_sensitive", attr, "attribute"), "max": lambda: a(self.bool, depth, "case_sensitive", attr, "attribute"),
                "map": lambda: self.pick([lambda: self.pick(["'upper'", "'string'", "'length'", "'int'", "'abs'", "'trim'", "'first'", "'list'", "'tojson'", "'nosuch'", "'title'",
                                                             "'default', 'x'", "'replace', 'a', 'b'", "'join', '-'", "'round', 1", "'int', default=3", "'attr', 'x'", "'e'"]),
                                          lambda: f"attribute={attr()}" + self.pick(["", ", default=" + self.any(0)]), lambda: ""])(),
                "select": lambda: self.test_args(), "reject": lambda: self.test_args(),
                "selectattr": lambda: attr() + self.pick(["", ", " + self.test_args()]), "rejectattr": lambda: attr() + self.pick(["", ", " + self.test_args()]),
                "groupby": lambda: attr() + self.pick(["", ", default='x'", ", case_sensitive=true", ", default=0"]),
                "dictsort": lambda: a(self.bool, depth, "case_sensitive", lambda d: self.pick(["'key'", "'value'", "'x'"]), "by", self.bool, "reverse")}.get(name)
        given = args() if args else ""
        text = f"{self.wrap(base)}|{name}" + (f"({given})" if given else "")
        if name in ("batch", "slice", "unique", "reverse", "map", "select", "reject", "selectattr", "rejectattr", "items") and self.chance(0.85):
            text += self.pick(["|list", "|list", "|list", "|join(',')", "|first", "|sort", "|length"])
        return text

    def test_args(self):
        return self.pick(["'defined'", "'none'", "'string'", "'number'", "'odd'", "'even'", "'eq', 1", "'equalto', 'user'", "'==', 'user'", "'in', [1, 'a', 'user']", "'>', 1", "'lt', 2",
                          "'divisibleby', 2", "'mapping'", "'iterable'", "'sequence'", "'boolean'", "'true'", "'upper'", "'lower'", "'nosuch'", "'ne', none", "'integer'", "'float'", "'sameas', none", ""])

    def dict(self, depth):
        if self.chance(0.015):
            return self.any(depth - 1)
        if depth <= 0 or self.chance(0.5):
            return self.pick(DICT)
        r = self.r.random()
        if r < 0.6:
            keys = [self.pick(["'a'", "'b'", "'k'", "1", "none", "true", "1.0", "'é'", "(1, 2)", self.str(0)]) for _ in range(self.r.randrange(4))]
            return "{" + ", ".join(f"{k}: {self.expr(depth - 1)}" for k in keys) + "}"
        if r < 0.85:
            return f"dict({self.pick(['', 'd', 'pairs', self.dict(depth - 1)])}{self.pick([', a=1', ', zz=' + self.any(0)])})".replace("(, ", "(")
        return self.any(depth - 1)

    def bool(self, depth):
        if depth <= 0 or self.chance(0.15):
            return self.pick(["t", "fa", "true", "false", "not t", "q", "True", "none"])
        r = self.r.random()
        if r < 0.25:
            return f"({self.expr(depth - 1)} {self.pick(['==', '!=', '<', '<=', '>', '>='])} {self.expr(depth - 1)})"
        if r < 0.33:
            gen = self.pick([self.int, self.str, self.list, self.float])
            return f"({gen(depth - 1)} {self.pick(['==', '!=', '<', '<=', '>', '>='])} {gen(depth - 1)})"
        if r < 0.36:
            return f"({self.number(depth - 1)} < {self.number(depth - 1)} {self.pick(['<', '>=', '==', 'in'])} {self.pick([self.number, self.list])(depth - 1)})"
        if r < 0.48:
            return f"({self.expr(depth - 1)} {self.pick(['in', 'not in'])} {self.pick([self.list, self.str, self.dict, self.any])(depth - 1)})"
        if r < 0.75:
            return self.test(depth)
        if r < 0.88:
            return f"({self.bool(depth - 1)} {self.pick(['and', 'or'])} {self.bool(depth - 1)})"
        return f"(not {self.bool(depth - 1)})"

    def test(self, depth):
        name = self.pick(["boolean", "callable", "defined", "divisibleby", "eq", "ne", "lt", "le", "gt", "ge", "equalto", "greaterthan", "lessthan", "escaped", "even", "odd",
                          "false", "true", "filter", "test", "float", "in", "integer", "iterable", "lower", "upper", "mapping", "none", "number", "sequence", "string",
                          "undefined", "sameas", "nosuch" if self.chance(0.2) else "defined"])
        arg = {"divisibleby": lambda: self.number(0), "sameas": lambda: self.pick(["true", "false", "none", "l", "d"]), "in": lambda: self.pick([self.list, self.str])(depth - 1)}.get(name)
        if arg is None and name in ("eq", "ne", "lt", "le", "gt", "ge", "equalto", "greaterthan", "lessthan"):
            arg = lambda: self.expr(depth - 1)
        text = self.expr(depth - 1)
        if name == "callable":
            text = self.pick(["s.upper", "range", "n", "nope", "d.items", "loop", "dict", "d", "namespace", "joiner"])
        if name in ("filter", "test"):
            text = self.pick(["'upper'", "'defined'", "'nosuch'", "'e'", "'odd'", "n", "s"])
        given = arg() if arg else ""
        given = f"({given})" if given and (self.chance(0.7) or not re.fullmatch(r"\w+|'\w*'", given)) else (" " + given if given else "")
        return f"({self.wrap(text)} is {self.pick(['', '', 'not '])}{name}{given})"

    # ---- statements ----

    def tag(self, inside):
        left = self.pick(["{%", "{%", "{%", "{%-", "{%+"]) + self.pick([" ", " ", " ", "", "\n"])
        if left.endswith("%") and inside[:1] in "-+":
            left += " "
        right = self.pick([" ", " ", ""]) + self.pick(["%}", "%}", "%}", "-%}", "+%}"])
        return left + inside + right

    def text(self):
        return self.pick(["", "", " ", "\n", "  \n", "a", "text ", "\n  ", "\n\n", "\t", " x\n", "{ }", "é", "%", "}}", "\r\n", "# ", "\u00a0\n", "'"])

    def body(self, depth):
        return self.text() + "".join(self.statement(depth - 1) + self.text() for _ in range(self.r.randrange(1, 4)))

    def name(self):
        name = self.pick(["v", "x1", "acc", "n", "s", "item"])
        if name not in self.names:
            self.names.append(name)
        return name

    def macro_call(self, depth):
        name, params = self.pick(self.macros)
        out = [self.expr(depth - 1) for _ in range(self.r.randrange(0, len(params) + 2))]
        if self.chance(0.4):
            out.append(f"{self.pick(params + ['kw'])}={self.expr(depth - 1)}")
        if self.chance(0.1):
            out.append(self.pick(["*l", "**d", "*[1]", "**{'a': 1}", "*s", "**m"]))
        return f"{name}({', '.join(out)})"

    def statement(self, depth):
        if depth <= 0 or self.chance(0.5):
            left, right = self.pick(["{{", "{{", "{{", "{{-", "{{+"]), self.pick(["}}", "}}", "}}", "-}}", "+}}" if self.chance(0.05) else "}}"])
            return f"{left} {self.expr(self.pick([1, 2, 2, 3]))} {right}"
        tag = self.tag
        kind = self.r.choices(["if", "for", "set", "setblock", "macro", "call", "filter", "with", "raw", "comment", "generation", "ns", "jump", "block", "recursive",
                               "raise", "odd", "cycler"], [6, 7, 6, 2, 3, 2, 2, 2, 1, 1, 1, 3, 2, 1, 1, 0.5, 0.4, 0.7])[0]
        if kind == "if":
            out = tag(f"if {self.expr(2)}") + self.body(depth)
            for _ in range(self.pick([0, 0, 1, 2])):
                out += tag(f"elif {self.expr(2)}") + self.body(depth)
            if self.chance(0.5):
                out += tag("else") + self.body(depth)
            return out + tag("endif")
        if kind == "for":
            target = self.pick(["i", "i", "k, v", "a, b", "c"])
            seq = self.pick([self.list(2), self.list(1), "d.items()", "d|dictsort", "d|items", "m", "range(4)", "s[:3]", self.expr(2)])
            cond = f" if {self.bool(2)}" if self.chance(0.25) else ""
            new = [name for name in target.split(", ") if name not in self.names]
            self.names += new
            self.loops += 1
            out = tag(f"for {target} in {seq}{cond}") + self.body(depth)
            self.loops -= 1
            if self.chance(0.3):
                out += tag("else") + self.body(depth)
            if self.chance(0.9):
                self.names = [name for name in self.names if name not in new]
            return out + tag("endfor")
        if kind == "set":
            if self.chance(0.2):
                return tag(f"set {self.name()}, {self.name()} = {self.pick([self.tuple(2), 'pairs[0]', self.expr(1), '1, 2'])}")
            value = self.expr(3)
            return tag(f"set {self.name()} = {value}")
        if kind == "setblock":
            body = self.body(depth)
            return tag(f"set {self.name()}{self.pick(['', ' | upper', '|trim|length', '|replace(1, 2)', '|list'])}") + body + tag("endset")
        if kind == "macro":
            name, params = f"mac{len(self.macros)}", self.r.sample(["a", "b", "p"], self.r.randrange(0, 3))
            n_default = self.r.randrange(0, len(params) + 1)
            sig = ", ".join(p + (f"={self.expr(1)}" if i >= len(params) - n_default else "") for i, p in enumerate(params))
            outer, loops = list(self.names), self.loops
            self.names = outer + params + self.pick([[], ["varargs"], ["kwargs"], ["varargs", "kwargs"], ["caller() if caller else 0"]])
            if self.chance(0.8):
                self.loops = 0
            body = self.body(depth)
            self.names, self.loops = outer, loops
            out = tag(f"macro {name}({sig})") + body + tag("endmacro")
            self.macros.append((name, params))
            return out
        if kind == "call" and self.macros:
            head = self.pick(["call ", "call(y) ", "call(y=1) ", "call() "])
            return tag(head + self.macro_call(2)) + self.body(depth) + tag("endcall")
        if kind == "filter":
            return tag("filter " + self.pick(["upper", "trim", "replace('a', 'b')", "indent(2)", "title", "length", "e", "trim|upper", "truncate(5)", "list", "string|lower", "nosuch"])) + self.body(depth) + tag("endfilter")
        if kind == "with":
            head = ", ".join(f"{self.name()} = {self.expr(2)}" for _ in range(self.r.randrange(0, 3)))
            return tag("with " + head if head else "with") + self.body(depth) + tag("endwith")
        if kind == "raw":
            return tag("raw") + self.pick(["{{ x }}", " {% if %} \n", "\n  {# #}\n", "a"]) + self.text() + tag("endraw")
        if kind == "comment":
            return self.pick(["{# c #}", "{#- c -#}", "{#+ c #}", "{# {{ x }} #}\n", "  {#\n#}\n", "{##}", "{#-#}", "{# -#}"])
        if kind == "generation":
            return tag("generation") + self.body(depth) + tag("endgeneration")
        if kind == "ns":
            if "ns" not in self.names:
                self.names += ["ns", "ns.a", "ns.b"]
                return tag(f"set ns = namespace({self.pick(['', 'a=1', 'a=0, b=[]', 'd', '{}, a=2'])})")
            return tag(f"set ns.{self.pick(['a', 'a', 'b', 'c', '_x'] if self.chance(0.1) else ['a', 'b'])} = {self.expr(2)}")
        if kind == "jump":
            return self.pick([tag("if " + self.bool(1)) + tag(self.pick(["break", "continue"])) + tag("endif"), tag("break"), tag("continue")])
        if kind == "block":
            name = self.pick(["one", "two"])
            return tag(f"block {name}{self.pick(['', '', ' scoped'])}") + self.body(depth) + tag("endblock" + self.pick(["", " " + name]))
        if kind == "recursive":
            self.loops += 1
            self.names.append("i")
            out = tag("for i in " + self.pick(["nest", "[1, [2, [3]]]", "[[1], [2]]"]) + " recursive") + "{{ loop(i) if i is iterable else i }}" + self.body(depth - 1) + tag("endfor")
            self.loops -= 1
            self.names.remove("i")
            return out
        if kind == "raise":
            return "{{ raise_exception(" + self.pick(["'bad'", "'got: ' ~ s", self.str(1)]) + ") }}"
        if kind == "cycler":
            return tag("set cy = " + self.pick(["cycler('a', 'b')", "joiner()", "joiner('|')", "cycler()", "cycler(*l)"])) + self.pick(["{{ cy() }}{{ cy() }}", "{{ cy.next() }}{{ cy.current }}{{ cy.next() }}{{ cy.reset() }}{{ cy.current }}"])
        if kind == "odd":
            return self.pick(["{% do l.append(1) %}", "{% include 'x' %}", "{% import 'x' as y %}", "{% extends 'x' %}", "{% from 'x' import y %}", 
                              "{% debug %}", "{% trans %}x{% endtrans %}", "{% print 1, 2 %}", "{{ self }}", "{{ lipsum is defined }}", "{{ caller }}", "{{ super() }}", "{% set loop = 1 %}",
                              "{% set x.y = 1 %}", "{% set d['a'] = 1 %}", "{{ {} }}", "{{ () }}", "{{ [,] }}", "{{ 1 if }}", "{{ a b }}", "{{ }}", "{%  %}", "{{ 'a }}", "{{ \"\\x4\" }}",
                              "{% for i in l %}", "{% endif %}", "{% else %}", "{{ l[1, 2] }}", "{{ l[] }}", "{{ s.0 }}", "# for i in l\n", "## x\n"])
        return tag(f"set {self.name()} = {self.expr(3)}")

    def template(self):
        out = self.body(self.pick([0, 0, 1, 1, 2, 3]))
        if self.chance(0.03):  # breaks the syntax, more often than not
            at = self.r.randrange(len(out) + 1)
            out = out[:at] + self.pick(["", "%}", "}}", "{{", "{%", "(", ")", "'", ",", ".", "|", " not ", "-", "\\", "{#"]) + out[at + self.pick([0, 1, 2]):]
        return out


LIMIT = 6  # TD_ERR_LIMIT of tandem.h


class TooLong(BaseException):
    pass


def stop(number, frame):
    raise TooLong()


def oracle(source, given):
    """("=", text), ("!", message of raise_exception), or ("!", None) for any other error."""
    signal.setitimer(signal.ITIMER_REAL, 2)
    try:
        template = ctu._cached_compile_jinja_template(source)
        return "=", template.render(**json.loads(given))
    except jinja2.exceptions.TemplateError as e:
        return "!", str(e) if type(e) is jinja2.exceptions.TemplateError else None
    except RecursionError:
        return "!", None
    except TooLong:
        return "?", None
    except Exception:
        return "!", None
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)


def build_driver(build, folder):
    out = os.path.join(folder, "render_many")
    library = os.path.join(build, "libtandem.a")
    source = os.path.join(HERE, "jinja", "render_many.c")
    subprocess.run(["cc", "-std=c11", "-D_GNU_SOURCE", "-O1", "-I" + os.path.join(ROOT, "src"), "-I" + os.path.join(ROOT, "include"), source, library,
                    "-lpcre2-8", "-ljansson", "-lm", "-lpthread", "-o", out], check=True)
    return out


def run_ours(driver, given, sources):
    lines = [given] + [json.dumps(s) for s in sources]
    done = subprocess.run([driver], input="\n".join(lines) + "\n", capture_output=True, text=True, encoding="utf-8")
    if done.returncode:
        sys.exit(f"the driver failed: {done.returncode}\n{done.stderr[-4000:]}")
    for line in done.stdout.split("\n")[:-1]:
        if line[0] == "=":
            yield "=", json.loads(line[1:]), 0
        else:
            status, message = line[1:].split(" ", 1)
            yield "!", json.loads(message), int(status)


def compare(want, got, status):
    """What to count a template as."""
    limit = status == LIMIT or "64 bits" in got[1] and got[0] == "!" or "complex" in got[1] and got[0] == "!"
    if want[0] == "?":
        return "too long for jinja2"
    if want[0] == "=" and PYTHON_OBJECT.search(want[1]):
        return "python object"
    if got[0] == "!" and limit:
        return "limit"
    if want[0] != got[0]:
        return "different"
    if want[0] == "=":
        return "same text" if want[1] == got[1] else "different"
    if want[1] is not None and want[1][:200] not in got[1]:
        return "different"
    return "same failure"


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("build")
    parser.add_argument("--count", type=int, default=20000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--show", type=int, default=20)
    options = parser.parse_args()
    signal.signal(signal.SIGALRM, stop)
    warnings.simplefilter("ignore")
    sources = [Gen(options.seed * 1000003 + i).template() for i in range(options.count)]
    given = json.dumps(VARS)
    with tempfile.TemporaryDirectory() as folder:
        driver = options.build if os.path.isfile(options.build) else build_driver(options.build, folder)
        counts, shown = {}, 0
        for source, got in zip(sources, run_ours(driver, given, sources)):
            want = oracle(source, given)
            kind = compare(want, got, got[2])
            counts[kind] = counts.get(kind, 0) + 1
            if kind == "different" and shown < options.show:
                shown += 1
                print(f"---- {source!r}\n  want {want!r}\n  ours {got!r}")
    print(", ".join(f"{n} {kind}" for kind, n in sorted(counts.items())))
    return 1 if counts.get("different") else 0


if __name__ == "__main__":
    sys.exit(main())
