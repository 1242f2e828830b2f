/* test_jinja.c - the language, its errors and its limits.  The expected texts of the tables are
 * what jinja2 3.1.6 printed, set up as transformers does. */
#include <stdarg.h>
#include <stddef.h>
#include <setjmp.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/alloc.h"
#include "text/jinja.h"

typedef struct row {
    const char *source, *want;
} row;

static const char vars_json[] =
    "{\"n\": 7, \"f\": 2.5, \"s\": \"Hello, World\", \"u\": \"Ünïcode 你好\", \"l\": [3, 1, 2],"
    " \"d\": {\"b\": 1, \"a\": \"x\", \"items\": [1]}, \"t\": true, \"q\": null, \"e\": \"\","
    " \"m\": [{\"role\": \"user\", \"content\": \"hi\"}, {\"role\": \"bot\", \"content\": null}],"
    " \"nest\": [1, [2, [3]]]}";

static const row precedence_rows[] = {
    {"{{ 1 + 2 * 3 - 4 / 2 }}",                                                                                       "5.0"            },
    {"{{ 7 // 2 }} {{ -7 // 2 }} {{ 7 % 3 }} {{ -7 % 3 }} {{ 7.5 // 2 }} {{ -7.5 % 2 }}",
     "3 -4 1 2 3.0 0.5"                                                                                                                },
    {"{{ 2 ** 3 ** 2 }} {{ -2 ** 2 }} {{ 2 ** -1 }}",                                                                 "64 4 0.5"       },
    {"{{ 'x' + 1 ~ 2 }} {{ 'a' ~ 1 * 2 }}",                                                                           "x12 a2"         },
    {"{{ not 1 == 2 }} {{ not t and q }} {{ q or e or 'z' }}",                                                        "True False z"   },
    {"{{ 1 < 2 < 3 }} {{ 1 < 3 < 2 }} {{ 3 > 2 == 2 }}",                                                              "True False True"},
    {"{{ 1 in l }} {{ 9 not in l }} {{ not 1 in l }} {{ 'ell' in s }} {{ 'a' in d }} {{ 'k' in nope }}",
     "True True False True True False"                                                                                                 },
    {"{{ 'a' if q else 'b' if e else 'c' }}|{{ 'a' if q }}|",                                                         "c||"            },
    {"{{ -1|abs }} {{ -n|abs }} {{ 2 + l|length * 2 }} {{ 'a' ~ 'b'|upper }}",                                        "1 7 8 aB"       },
    {"{{ n is odd and n is not even }} {{ n is divisibleby 7 }} {{ n is divisibleby(2) }} {{ not n is defined }}",
     "True True False False"                                                                                                           },
    {"{{ 1.0 == 1 == true }} {{ 1 is sameas true }} {{ none is none }} {{ [1, 'a'] == [1, 'a'] }} {{ (1,) == [1] }}",
     "True False True True False"                                                                                                      },
    {"{{ (1, 2) + (3,) }} {{ [1] * 3 }} {{ 'ab' * 2 }} {{ 'x' * -1 }}|",
     "(1, 2, 3) [1, 1, 1] abab |"                                                                                                      },
    {"{{ true + true }} {{ 5 / 2 }} {{ 4 / 2 }} {{ 10 ** 15 }} {{ 1e16 }}",
     "2 2.5 2.0 1000000000000000 1e+16"                                                                                                },
};

static const row literals_rows[] = {
    {"{{ 'a' 'b' \"c\" }}",                                                                                          "abc"                                },
    {"{{ 'a\\n\\t\\\\\\'\\x41\\u00e9\\U0001F600\\101\\q' }}",                                                        "a\n\t\\'Aé😀A\\q"                },
    {"{{ 1_000 }} {{ 0x1f }} {{ 0b101 }} {{ 0o17 }} {{ 1.5e3 }} {{ 1e-7 }} {{ 1_0.5 }} {{ 100.0 }} {{ 0.1 + 0.2 }}",
     "1000 31 5 15 1500.0 1e-07 10.5 100.0 0.30000000000000004"                                                                                           },
    {"{{ [1, 'a', none, true, 1.0, (1,), ()] }}",                                                                    "[1, 'a', None, True, 1.0, (1,), ()]"},
    {"{{ {'a': 1, 2: [3], none: {}} }}",                                                                             "{'a': 1, 2: [3], None: {}}"         },
    {"{{ (1, 2) }} {{ 1, 2 }} {{ 'it\\'s' ~ [\"it's\", 'a\"b', 'a\\n'] }}",
     "(1, 2) (1, 2) it's[\"it's\", 'a\"b', 'a\\n']"                                                                                                       },
    {"{{ true }} {{ False }} {{ none }} {{ None }}",                                                                 "True False None None"               },
    {"{{ ['é', '\\u200b', '\\u00a0', '\\x7f'] }}",                                                                  "['é', '\\u200b', '\\xa0', '\\x7f']"},
    {"{{ {'a': 1,}.a }} {{ [1,][0] }} {{ {'x': 1}['x'] }}",                                                          "1 1 1"                              },
};

static const row access_rows[] = {
    {"{{ m[0].role }} {{ m[0]['content'] }} {{ m.0.role }} {{ m[-1].content }} {{ l[5] }}|{{ d.nope }}|{{ d['b'] }}",
     "user hi user None ||1"                                                                                                                            },
    {"{{ l[1:] }} {{ l[:-1] }} {{ l[::-1] }} {{ l[::2] }} {{ s[:5] }} {{ s[-5:] }} {{ s[::-2] }} {{ u[1:9] }} {{ u[-1] }} {{ u[::-1] }}",
     "[1, 2] [3, 1] [2, 1, 3] [3, 2] Hello World drW,le nïcode 你 好 好你 edocïnÜ"                                                               },
    {"{{ range(10)[2:8:3]|list }} {{ range(5) }} {{ range(5, 0, -2)|list }} {{ range(3)[-1] }}",
     "[2, 5] range(0, 5) [5, 3, 1] 2"                                                                                                                   },
    {"{{ d.items is callable }} {{ d['items'] }} {{ d.items() }} {{ d.keys()|list }} {{ d.values() }} {{ d.get('zz', 5) }} {{ d.get('zz') }}",
     "True [1] dict_items([('b', 1), ('a', 'x'), ('items', [1])]) ['b', 'a', 'items'] dict_values([1, 'x', [1]]) 5 None"                                },
    {"{{ nope is defined }} {{ s.__class__ }}|{{ s._x }}|{{ l.append is defined }} {{ d.update }}|",
     "False ||False |"                                                                                                                                  },
    {"{{ l.index(1) }} {{ l.count(3) }} {{ (1, 2).index(2) }}",                                                                                "1 1 1"  },
    {"{{ l['a'] }}|{{ n.foo }}|{{ none.foo }}|{{ s.foo }}|{{ l[1:1] }}{{ s[20:] }}|",                                                          "||||[]|"},
};

static const row statements_rows[] = {
    {"{% set x = 1 %}{% for i in [1,2] %}{% set x = x + i %}{{ x }}{% endfor %}{{ x }}",                                                                                                                            "231"},
    {"{% set a, b = 1, [2] %}{{ a }}{{ b }}{% set c %}<{{ a }}>{% endset %}{{ c }}{% set c | upper | trim %} q {% endset %}{{ c }}|",
     "1[2]<1>Q|"                                                                                                                                                                                                         },
    {"{% set ns = namespace(a=1, b='x') %}{% for i in l %}{% set ns.a = ns.a + i %}{% endfor %}{{ ns.a }}{{ ns['b'] }}{{ ns }}{{ ns.zz }}",
     "7x<Namespace {'a': 7, 'b': 'x'}>"                                                                                                                                                                                  },
    {"{% for i in l %}{{ loop.index }}{{ loop.index0 }}{{ loop.revindex }}{{ loop.revindex0 }}{{ loop.first }}{{ loop.last }}{{ loop.length }}{{ loop.previtem }}{{ loop.nextitem }}{{ loop.depth }} {% endfor %}",
     "1032TrueFalse311 2121FalseFalse3321 3210FalseTrue311 "                                                                                                                                                             },
    {"{% for k, v in d.items() %}{{ k }}={{ v }};{% endfor %}{% for k, v in d|dictsort %}{{ k }}{% endfor %}{% for k in d %}{{ k }}{% endfor %}",
     "b=1;a=x;items=[1];abitemsbaitems"                                                                                                                                                                                  },
    {"{% for c in u %}{{ c }}.{% endfor %}{% for x in nope %}a{% else %}none{% endfor %}{% for x in [] %}{% else %}E{% endfor %}",
     "Ü.n.ï.c.o.d.e. .你.好.noneE"                                                                                                                                                                                   },
    {"{% for i in range(9) if i is odd %}{{ i }}{{ loop.index }}{{ ',' if not loop.last }}{% endfor %}",
     "11,32,53,74"                                                                                                                                                                                                       },
    {"{% for i in range(9) %}{% if i == 2 %}{% continue %}{% endif %}{% if i == 5 %}{% break %}{% endif %}{{ i }}{% endfor %}",
     "0134"                                                                                                                                                                                                              },
    {"{% for i in [1] %}{% break %}{% else %}else{% endfor %}{% for i in [1] %}{% continue %}{% else %}else{% endfor %}",
     "elseelse"                                                                                                                                                                                                          },
    {"{% set ns = namespace(stop=false) %}{% for i in range(6) if not ns.stop %}{{ i }}{% if i == 2 %}{% set ns.stop = true %}{% endif %}{% endfor %}",
     "012"                                                                                                                                                                                                               },
    {"{% for x in nest recursive %}{% if x is iterable %}[{{ loop(x) }}]{% else %}{{ x }}@{{ loop.depth }}{% endif %}{% endfor %}",
     "1@1[2@2[3@3]]"                                                                                                                                                                                                     },
    {"{% for i in l %}{{ loop.cycle('a', 'b') }}{{ loop.changed(i > 1) }} {% endfor %}",
     "aTrue bTrue aTrue "                                                                                                                                                                                                },
    {"{% for i in [1,2] %}{% for j in [3,4] %}{{ loop.index }}{{ i }}{{ j }} {% endfor %}{{ loop.index }}{% endfor %}",
     "113 214 1123 224 2"                                                                                                                                                                                                },
    {"{% if q %}a{% elif e %}b{% elif n %}c{% else %}d{% endif %}",                                                                                                                                                 "c"  },
    {"{% if true %}{% set y = 5 %}{% endif %}{{ y }}{% with y = 6, z = y %}{{ y }}{{ z }}{% set y = 7 %}{% endwith %}{{ y }}",
     "5655"                                                                                                                                                                                                              },
    {"{% filter upper %}a{{ s }}{% filter replace('B', 'c') %}b{% endfilter %}{% endfilter %}",
     "AHELLO, WORLDB"                                                                                                                                                                                                    },
    {"{% generation %}x{% set n = 1 %}{{ n }}{% endgeneration %}{{ n }}",                                                                                                                                           "x17"},
    {"{% set x = 1 %}{% macro f() %}{{ x }}{% set x = 2 %}{{ x }}{% endmacro %}{{ f() }}{{ x }}{% set x = 3 %}{{ f() }}",
     "12132"                                                                                                                                                                                                             },
    {"{% print 1, 'a' %}{% block b %}B{% endblock b %}",                                                                                                                                                            "1aB"},
    {"{% for i in [1,2] %}{{ x }}{% set x = i %}{% endfor %}|{% for a in [1] %}{% for b in [2] %}{% set a = 9 %}{{ a }}{% endfor %}{{ a }}{% endfor %}",
     "|91"                                                                                                                                                                                                               },
};

static const row macros_rows[] = {
    {"{% macro f(a, b=2, c=a) %}{{ a }}{{ b }}{{ c }}{% endmacro %}{{ f(1) }} {{ f(1, c=5) }} {{ f(b=3, a=4) }} {{ f() }}|",
     "121 125 434 2|"                                                                                                                                        },
    {"{% macro f() %}{{ varargs }}{{ kwargs }}{% endmacro %}{{ f(1, 2, x=3) }}",                                                             "(1, 2){'x': 3}"},
    {"{% macro f(x) %}<{{ caller(x, 2) }}>{% endmacro %}{% call(a, b=9) f(1) %}{{ a }}{{ b }}{% endcall %}",
     "<12>"                                                                                                                                                  },
    {"{% macro f() %}{{ caller is defined }}{% if caller %}{{ caller() }}{% endif %}{% endmacro %}{{ f() }}{% call f() %}body{% endcall %}",
     "FalseTruebody"                                                                                                                                         },
    {"{% macro fact(n) %}{{ 1 if n < 2 else n * fact(n - 1)|int }}{% endmacro %}{{ fact(10) }}",
     "3628800"                                                                                                                                               },
    {"{% macro f(x) %}{{ x is defined }}{{ x }}{% endmacro %}{{ f() }} {{ f(none) }} {{ f.name }} {{ f.arguments }}",
     "False TrueNone f ('x',)"                                                                                                                               },
    {"{% macro f(a, b) %}{{ a }}-{{ b }}{% endmacro %}{{ f(*[1, 2]) }} {{ f(**{'a': 3, 'b': 4}) }} {{ f(*[5], **{'b': 6}) }}",
     "1-2 3-4 5-6"                                                                                                                                           },
};

static const row white_space_rows[] = {
    {"a\n  {% if true %}\n  b\n  {% endif %}\nc\n",                                    "a\n  b\nc"         },
    {"a \n {%- if true -%} \n b \n {%- endif -%} \n c",                                "abc"               },
    {"a\n  {%+ if true +%}\n b{% endif +%}\n c",                                       "a\n  \n b\n c"     },
    {"  {# c #}\n x {#- d -#}  \n y",                                                  " xy"               },
    {"{{ 1 -}} \n 2 {{- 3 }}\n",                                                       "123"               },
    {"{% raw %}{{ x }}{% if %}{% endraw %}|{%- raw -%}  a {%- endraw -%}  b",          "{{ x }}{% if %}|ab"},
    {"x\n\n",                                                                          "x\n"               },
    {"x\r\ny\rz\n",                                                                    "x\ny\nz"           },
    {"{% for i in l -%}\n {{ i }}\n{%- endfor %}",                                     "312"               },
    {"a {% set x = 1 %} b\n{% set y = 2 %}\n\tc {% set z %}\n q\n{% endset %}{{ z }}",
     "a  b\n\tc  q\n"                                                                                      },
    {"{{ 'a' }}  {% if 1 %}  \n{% endif %}  b",                                        "a    \n  b"        },
    {"   {{ 1 }}\n{#\nc\n#}\nz",                                                       "   1\nz"           },
    {"{{{'a':1}['a']}} {{ {'a':{'b':2}}.a.b }}",                                       "1 2"               },
    {"{%if n%}{%endif%}{{n}}{#c#}",                                                    "7"                 },
};

static const row filters_rows[] = {
    {"{{ '  a b '|trim }}|{{ 'xxaxx'|trim('x') }}|{{ s|replace('l', 'L') }} {{ s|replace('l', '', 1) }} {{ 'ab'|replace('', '-') }}",
     "a b|a|HeLLo, WorLd Helo, World -a-b-"                                                                                   },
    {"{{ s|upper }} {{ s|lower }} {{ 'hello wORLD-foo (bar'|title }} {{ 'élan'|capitalize }} {{ u|upper }} {{ 'straße'|upper }} {{ 'ΑΣ ΣΑ'|lower }}",
     "HELLO, WORLD hello, world Hello World-Foo (Bar Élan ÜNÏCODE 你好 STRASSE ας σα"                                },
    {"{{ l|join }} {{ l|join(', ') }} {{ m|join('/', attribute='role') }} {{ m|map(attribute='role')|join('|') }} {{ ['a', 'b']|map('upper')|list }}",
     "312 3, 1, 2 user/bot user|bot ['A', 'B']"                                                                               },
    {"{{ l|sort }} {{ l|sort(reverse=true) }} {{ ['b', 'A', 'c']|sort }} {{ ['b', 'A']|sort(case_sensitive=true) }} {{ m|sort(attribute='role')|map(attribute='role')|list }}",
     "[1, 2, 3] [3, 2, 1] ['A', 'b', 'c'] ['A', 'b'] ['bot', 'user']"                                                         },
    {"{{ l|first }} {{ l|last }} {{ [] |first }}| {{ l|min }} {{ l|max }} {{ l|sum }} {{ l|reverse|list }} {{ s|reverse }} {{ l|length }} {{ nope|length }}",
     "3 2 | 1 3 6 [2, 1, 3] dlroW ,olleH 3 0"                                                                                 },
    {"{{ nope|default('d') }} {{ e|default('d') }}|{{ e|default('d', true) }} {{ q|d('x') }} {{ nope|d }}|",
     "d |d None |"                                                                                                            },
    {"{{ m|selectattr('content')|list|length }} {{ m|rejectattr('role', 'equalto', 'user')|map(attribute='role')|first }} {{ range(6)|select('odd')|list }} {{ [0, 1, '']|reject|list }}",
     "1 bot [1, 3, 5] [0, '']"                                                                                                },
    {"{{ d|tojson }} {{ [1.0, 'é\"\\n', none, true, {'a': []}]|tojson }} {{ 'é😀'|tojson(ensure_ascii=true) }}",
     "{\"b\": 1, \"a\": \"x\", \"items\": [1]} [1.0, \"é\\\"\\n\", null, true, {\"a\": []}] \"\\u00e9\\ud83d\\ude00\""       },
    {"{{ d|tojson(indent=2) }} {{ []|tojson(indent=2) }} {{ {'b': 1, 'a': [1, 2]}|tojson(separators=(',', ':'), sort_keys=true) }}",
     "{\n  \"b\": 1,\n  \"a\": \"x\",\n  \"items\": [\n    1\n  ]\n} [] {\"a\":[1,2],\"b\":1}"                                },
    {"{{ '<a href=\"x\">'|e }} {{ '<b>'|safe }} {{ ('<b>'|safe) + '<c>' }} {{ '&'|e|e }} {{ '<'|e is escaped }}",
     "&lt;a href=&#34;x&#34;&gt; <b> <b>&lt;c&gt; &amp; True"                                                                 },
    {"{{ '42'|int }} {{ '4.7'|int }} {{ 'x'|int(9) }} {{ 'ff'|int(base=16) }} {{ 3.9|int }} {{ ' 2.5 '|float }} {{ 'x'|float }} {{ '1e3'|float }}",
     "42 4 9 255 3 2.5 0.0 1000.0"                                                                                            },
    {"{{ 2.567|round(2) }} {{ 2.5|round }} {{ 3.5|round }} {{ 42|round }} {{ 2.1|round(method='ceil') }} {{ 2.19|round(1, 'floor') }} {{ 1234|round(-2) }}",
     "2.57 2.0 4.0 42 3.0 2.1 1200"                                                                                           },
    {"{{ 'a\\nb\\n\\nc'|indent }}|{{ 'a\\nb'|indent(2, true) }}|{{ 'a\\n\\nb'|indent('> ', blank=true) }}",
     "a\n    b\n\n    c|  a\n  b|a\n> \n> b"                                                                                  },
    {"{{ [1, 2, 3, 4, 5]|batch(2, 0)|list }} {{ [1, 2, 3, 4, 5]|slice(3)|list }} {{ [1, 'a', 'A', 1]|unique|list }}",
     "[[1, 2], [3, 4], [5, 0]] [[1, 2], [3, 4], [5]] [1, 'a']"                                                                },
    {"{{ d|dictsort }} {{ d|items|list }} {{ {'B': 2, 'a': 1}|dictsort(true) }} {{ {'x': 2, 'y': 1}|dictsort(by='value', reverse=true) }}",
     "[('a', 'x'), ('b', 1), ('items', [1])] [('b', 1), ('a', 'x'), ('items', [1])] [('B', 2), ('a', 1)] [('x', 2), ('y', 1)]"},
    {"{{ [{'k': 1, 'v': 'a'}, {'k': 2, 'v': 'b'}, {'k': 1, 'v': 'c'}]|groupby('k') }}",
     "[(1, [{'k': 1, 'v': 'a'}, {'k': 1, 'v': 'c'}]), (2, [{'k': 2, 'v': 'b'}])]"                                             },
    {"{{ 'foo bar baz qux'|truncate(9) }} {{ 'foo bar baz qux'|truncate(9, true) }} {{ 'foo bar baz'|truncate(11) }} {{ 'a b'|center(9) }}| {{ 'a b-c d'|wordcount }}",
     "foo... foo ba... foo bar baz    a b   | 4"                                                                              },
    {"{{ 'a b/ü?'|urlencode }} {{ {'a b': 1, 'c': '&'}|urlencode }} {{ '%s-%03d' |format('x', 7) }} {{ l|string }} {{ 5|string + 'a' }}",
     "a%20b/%C3%BC%3F a+b=1&c=%26 x-007 [3, 1, 2] 5a"                                                                         },
    {"{{ 'abc'|list }} {{ d|list }} {{ 'ab'|attr('upper') is callable }} {{ d|attr('a') is defined }} {{ -3|abs }} {{ l|map('string')|join }}",
     "['a', 'b', 'c'] ['b', 'a', 'items'] True False 3 312"                                                                   },
};

static const row tests_rows[] = {
    {"{{ s is string }} {{ d is mapping }} {{ l is sequence }} {{ d is sequence }} {{ s is iterable }} {{ n is iterable }} {{ q is none }} {{ t is boolean }} {{ t is number }} {{ t is integer }} {{ f is float }}",
     "True True True True True False True True True False True"},
    {"{{ true is true }} {{ 1 is true }} {{ false is false }} {{ nope is undefined }} {{ nope is string }} {{ nope is iterable }} {{ nope is sequence }} {{ range is callable }}",
     "True False True True False True True True"               },
    {"{{ 'a' is lower }} {{ 'A' is upper }} {{ '1' is upper }} {{ 3 is in l }} {{ 1 is eq 1 }} {{ 1 is lt(2) }} {{ 2 is ge 3 }} {{ 'upper' is filter }} {{ 'nope' is filter }} {{ 'odd' is test }}",
     "True True False True True True False True False True"    },
    {"{{ namespace() is mapping }} {{ d.items() is sequence }} {{ d.items() is iterable }} {{ (l|map('abs')) is sequence }} {{ range(2) is sequence }} {{ (1, 2) is sequence }}",
     "False False True False True True"                        },
};

static const row methods_rows[] = {
    {"{{ ' a b '.strip() }}|{{ 'xax'.lstrip('x') }} {{ 'xax'.rstrip('x') }} {{ 'a,b,,c'.split(',') }} {{ ' a  b '.split() }} {{ 'a b c'.split(' ', 1) }} {{ 'a b c'.rsplit(' ', 1) }} {{ ' a  b  c '.split(none, 1) }}",
     "a b|ax xa ['a', 'b', '', 'c'] ['a', 'b'] ['a', 'b c'] ['a b', 'c'] ['a', 'b  c ']"},
    {"{{ 'abc'.startswith('ab') }} {{ 'abc'.endswith(('x', 'c')) }} {{ 'abc'.startswith('b', 1) }} {{ 'abcabc'.find('c') }} {{ 'abcabc'.rfind('c') }} {{ 'abc'.find('z') }} {{ 'éab'.find('b') }} {{ 'aXbX'.count('X') }} {{ 'abc'.index('b') }}",
     "True True True 2 5 -1 2 2 1"                                                      },
    {"{{ 'hello'.title() }} {{ \"they're BIG\".title() }} {{ 'ab'.upper() }} {{ 'AB'.lower() }} {{ 'aB'.swapcase() }} {{ 'aB c'.capitalize() }} {{ 'a'.islower() }} {{ '12'.isdigit() }} {{ 'ab1'.isalnum() }} {{ 'é'.isalpha() }} {{ ' '.isspace() }}",
     "Hello They'Re Big AB ab Ab Ab c True True True True True"                         },
    {"{{ 'a'.ljust(3, '.') }} {{ 'a'.rjust(3) }} {{ 'a'.center(4, '*') }} {{ '-5'.zfill(4) }} {{ 'a\\tb'.expandtabs(4) }} {{ 'a-b-c'.partition('-') }} {{ 'a-b-c'.rpartition('-') }} {{ 'a\\nb\\r\\nc'.splitlines() }} {{ ','.join(['a', 'b']) }}",
     "a..   a *a** -005 a   b ('a', '-', 'b-c') ('a-b', '-', 'c') ['a', 'b', 'c'] a,b"  },
    {"{{ 'preab'.removeprefix('pre') }} {{ 'ab.py'.removesuffix('.py') }} {{ 'aaa'.replace('a', 'b', 2) }} {{ 'a{}b{x}'.format(1, x='y') }}",
     "ab ab bba a1by"                                                                   },
    {"{{ '%s is %d (%5.1f%%) %r %x' % ('a', 3, 99.55, 'q', 255) }} {{ '%(k)s' % {'k': 'v'} }} {{ '%s' % 5 }} {{ '%-5s|%05d|%+d' % ('a', 42, 7) }}",
     "a is 3 ( 99.5%) 'q' ff v 5 a    |00042|+7"                                        },
    {"{{ '{:>5}|{:<5}|{:^5}|{:05d}|{:.2f}|{:,}|{:x}|{!r}'.format('a', 'b', 'c', 42, 3.14159, 1234567, 255, 'q') }} {{ '{0[a]}{1.role}'.format(d, m[0]) }} {{ '{:{}}|'.format('a', 4) }}",
     "    a|b    |  c  |00042|3.14|1,234,567|ff|'q' xuser a   |"                        },
    {"{% set c = cycler('a', 'b') %}{{ c.next() }}{{ c.next() }}{{ c.next() }}{{ c.current }}{% set j = joiner('-') %}{{ j() }}a{{ j() }}b{{ dict(a=1, **{'b': 2}) }}{{ dict([('x', 1)]) }}",
     "ababa-b{'a': 1, 'b': 2}{'x': 1}"                                                  },
};

static td_arena arena;
static td_value *vars;

static int set_up(void **state) {
    (void)state;
    td_arena_init(&arena, 0);
    return td_value_from_json(&vars, &arena, vars_json, strlen(vars_json), "vars", NULL) != TD_OK;
}

static int tear_down(void **state) {
    (void)state;
    td_arena_clear(&arena);
    return 0;
}

static td_status render_n(const char *source, size_t n, const td_template_limits *limits,
                          char **out, size_t *n_out, td_err *err) {
    td_template *t;
    *out = NULL;
    td_status status = td_template_create(&t, "test", source, n, err);
    if (status == TD_OK) status = td_template_render(t, vars, limits, out, n_out, err);
    if (status != TD_OK) assert_null(*out);
    td_template_free(t);
    return status;
}

static td_status render(const char *source, char **out, td_err *err) {
    return render_n(source, strlen(source), NULL, out, NULL, err);
}

static void check_rows(const row *rows, size_t n) {
    for (size_t i = 0; i < n; i++) {
        char *out;
        td_err err = {0};
        if (render(rows[i].source, &out, &err) != TD_OK)
            fail_msg("%s\n%s", rows[i].source, err.msg);
        if (strcmp(out, rows[i].want) != 0)
            fail_msg("%s\n got '%s'\nwant '%s'", rows[i].source, out, rows[i].want);
        td_free(out);
    }
}

#define CHECK_ROWS(rows) check_rows(rows, sizeof(rows) / sizeof(rows)[0])

static void precedence(void **state) {
    (void)state;
    CHECK_ROWS(precedence_rows);
}

static void literals(void **state) {
    (void)state;
    CHECK_ROWS(literals_rows);
}

static void access(void **state) {
    (void)state;
    CHECK_ROWS(access_rows);
}

static void statements(void **state) {
    (void)state;
    CHECK_ROWS(statements_rows);
}

static void macros(void **state) {
    (void)state;
    CHECK_ROWS(macros_rows);
}

static void white_space(void **state) {
    (void)state;
    CHECK_ROWS(white_space_rows);
}

static void filters(void **state) {
    (void)state;
    CHECK_ROWS(filters_rows);
}

static void tests_of_values(void **state) {
    (void)state;
    CHECK_ROWS(tests_rows);
}

static void methods(void **state) {
    (void)state;
    CHECK_ROWS(methods_rows);
}

/* ---- errors ---- */

typedef struct error_row {
    const char *source;
    td_status status;
    const char *message; /* a part of it */
} error_row;

static const error_row error_rows[] = {
  /* syntax: when the template is created */
    {"a\nb {{ 1 + }}",                                                     TD_ERR_FORMAT,      "test, line 2: the tag ends, wanted an expression"},
    {"{% if x %}\n\n",                                                     TD_ERR_FORMAT,      "line 2: the template ends, wanted {% endif %}"   },
    {"{% endif %}",                                                        TD_ERR_FORMAT,      "unknown tag {% endif %}"                         },
    {"{% frobnicate %}",                                                   TD_ERR_FORMAT,      "unknown tag {% frobnicate %}"                    },
    {"{% include 'x' %}",                                                  TD_ERR_UNSUPPORTED, "a chat template stands alone"                    },
    {"{{ x|nope }}",                                                       TD_ERR_FORMAT,      "no filter named 'nope'"                          },
    {"{{ x is nope }}",                                                    TD_ERR_FORMAT,      "no test named 'nope'"                            },
    {"{% if false %}{% for x in [] %}{{ x|nope }}{% endfor %}{% endif %}", TD_ERR_FORMAT,
     "no filter named 'nope'"                                                                                                                    },
    {"{{ 'abc }}",                                                         TD_ERR_FORMAT,      "a string without its closing quote"              },
    {"{# abc",                                                             TD_ERR_FORMAT,      "a comment without its end"                       },
    {"{{ a",                                                               TD_ERR_FORMAT,      "a {{ without its }}"                             },
    {"{% raw %}a",                                                         TD_ERR_FORMAT,      "without its {% endraw %}"                        },
    {"{{ (1] }}",                                                          TD_ERR_FORMAT,      "unexpected ]"                                    },
    {"{{ 1 ? 2 }}",                                                        TD_ERR_FORMAT,      "unexpected character ?"                          },
    {"{{ 'a' } }",                                                         TD_ERR_FORMAT,      "unexpected }"                                    },
    {"{{ 99999999999999999999 }}",                                         TD_ERR_FORMAT,      "an integer beyond 64 bits"                       },
    {"{{ '\\xZZ' }}",                                                      TD_ERR_FORMAT,      "bad \\x"                                         },
    {"{% break %}",                                                        TD_ERR_FORMAT,      "outside of a for loop"                           },
    {"{% set 1 = 2 %}",                                                    TD_ERR_FORMAT,      "only names can be assigned to"                   },
    {"{% for loop in [] %}{% endfor %}",                                   TD_ERR_FORMAT,      "'loop' cannot be assigned"                       },
    {"{% macro f(a=1, b) %}{% endmacro %}",                                TD_ERR_FORMAT,      "without a default"                               },
    {"{{ f(a=1, 2) }}",                                                    TD_ERR_FORMAT,      "wrong order"                                     },
    {"{% call x %}{% endcall %}",                                          TD_ERR_FORMAT,      "wants a call"                                    },
    {"{{ a is b is c }}",                                                  TD_ERR_FORMAT,      "chained"                                         },
    {"{{ }}",                                                              TD_ERR_FORMAT,      "wanted an expression"                            },
 /* rendering */
    {"\n{{ raise_exception('no ' ~ 'way') }}",                             TD_ERR_ARGUMENT,    "test, line 2: no way"                            },
    {"{{ nope.x }}",                                                       TD_ERR_ARGUMENT,    "'nope' is undefined"                             },
    {"{{ d.nope.x }}",                                                     TD_ERR_ARGUMENT,    "'dict' object has no attribute 'nope'"           },
    {"{{ l[7].x }}",                                                       TD_ERR_ARGUMENT,    "'list' object has no element 7"                  },
    {"{{ nope() }}",                                                       TD_ERR_ARGUMENT,    "'nope' is undefined"                             },
    {"{{ nope + 1 }}",                                                     TD_ERR_ARGUMENT,    "'nope' is undefined"                             },
    {"{{ nope < 1 }}",                                                     TD_ERR_ARGUMENT,    "'nope' is undefined"                             },
    {"{{ -nope }}",                                                        TD_ERR_ARGUMENT,    "'nope' is undefined"                             },
    {"{{ l.append(1) }}",                                                  TD_ERR_ARGUMENT,    "the sandbox forbids access to 'append' of 'list'"},
    {"{{ d.pop('a') }}",                                                   TD_ERR_ARGUMENT,    "the sandbox forbids"                             },
    {"{{ s.__class__.x }}",                                                TD_ERR_ARGUMENT,    "the sandbox forbids"                             },
    {"{% set d.a = 1 %}",                                                  TD_ERR_ARGUMENT,    "only a namespace"                                },
    {"{% set ns = namespace() %}{% set ns._a = 1 %}",                      TD_ERR_ARGUMENT,    "underscore"                                      },
    {"{{ 'a' + 1 }}",                                                      TD_ERR_ARGUMENT,    "'+' is not supported between 'str' and 'int'"    },
    {"{{ 1 < 'a' }}",                                                      TD_ERR_ARGUMENT,    "'<' is not supported between 'int' and 'str'"    },
    {"{{ 1 in 'abc' }}",                                                   TD_ERR_ARGUMENT,    "wants a string"                                  },
    {"{{ 1 / 0 }}",                                                        TD_ERR_ARGUMENT,    "division by zero"                                },
    {"{{ 1 % 0 }}",                                                        TD_ERR_ARGUMENT,    "division by zero"                                },
    {"{% for x in 5 %}{% endfor %}",                                       TD_ERR_ARGUMENT,    "'int' cannot be iterated over"                   },
    {"{% for a, b in l %}{% endfor %}",                                    TD_ERR_ARGUMENT,    "'int' cannot be iterated over"                   },
    {"{% for a, b in ['abc'] %}{% endfor %}",                              TD_ERR_ARGUMENT,    "3 values cannot be unpacked"                     },
    {"{{ {[]: 1} }}",                                                      TD_ERR_ARGUMENT,    "'list' cannot be a key"                          },
    {"{{ q[1:] }}",                                                        TD_ERR_ARGUMENT,    "cannot be sliced"                                },
    {"{% block a %}{% endblock %}{% block a %}{% endblock %}",             TD_ERR_FORMAT,      "defined twice"                                   },
    {"{% if q %}{% filter nope %}{% endfilter %}{% endif %}",              TD_ERR_FORMAT,
     "no filter named 'nope'"                                                                                                                    },
    {"{{ l[::0] }}",                                                       TD_ERR_ARGUMENT,    "step"                                            },
    {"{{ nope|tojson }}",                                                  TD_ERR_ARGUMENT,    "tojson cannot write a 'Undefined'"               },
    {"{{ range(3)|tojson }}",                                              TD_ERR_ARGUMENT,    "tojson cannot write a 'range'"                   },
    {"{{ (l|map('abs'))|length }}",                                        TD_ERR_ARGUMENT,    "no length"                                       },
    {"{{ s|replace('a') }}",                                               TD_ERR_ARGUMENT,    "wants an argument 'new'"                         },
    {"{{ s|trim(nope=1) }}",                                               TD_ERR_ARGUMENT,    "takes no argument 'nope'"                        },
    {"{{ s|trim('a', 'b') }}",                                             TD_ERR_ARGUMENT,    "at most 1"                                       },
    {"{{ 5() }}",                                                          TD_ERR_ARGUMENT,    "'int' cannot be called"                          },
    {"{% macro f() %}{% endmacro %}{{ f(1) }}",                            TD_ERR_ARGUMENT,    "at most 0"                                       },
    {"{% macro f() %}{% endmacro %}{{ f(a=1) }}",                          TD_ERR_ARGUMENT,    "does not take"                                   },
    {"{{ '%d' % 'x' }}",                                                   TD_ERR_ARGUMENT,    "does not take"                                   },
    {"{{ '%s' % (1, 2) }}",                                                TD_ERR_ARGUMENT,    "not all arguments"                               },
    {"{{ '{} {}'.format(1) }}",                                            TD_ERR_ARGUMENT,    "no value"                                        },
    {"{% if true %}{{ x|from_json }}{% endif %}",                          TD_ERR_ARGUMENT,    "no filter named 'from_json'"                     },
    {"{{ 9223372036854775807 + 1 }}",                                      TD_ERR_LIMIT,       "beyond 64 bits"                                  },
    {"{{ range(100001) }}",                                                TD_ERR_LIMIT,       "a range of more than"                            },
};

/* Found by tests/golden/check_jinja.py. */
static const row found_rows[] = {
    {"{{ range(8, 12, 3) }} {{ range(8, 12, 3)[:1] }} {{ range(5, 3, true) }}",
     "range(8, 12, 3) range(8, 11, 3) range(5, 3)"                                                                                                         },
    {"{{ 0.0 // -2.5 }} {{ 1e20 // 3.0 }} {{ -7.5 // 2 }}",                                                               "-0.0 3.333333333333333e+19 -4.0"},
    {"{{ 15|round(precision=none) }} {{ 2.5|round(none) }} {{ 3.5|round(none) }}",                                        "15 2 4"                         },
    {"{{ m|groupby('x.y', default='z')|map('first')|list }}",                                                             "['z']"                          },
    {"{{ 'a b'.isprintable() }} {{ 'a\n'.isprintable() }} {{ '\u00a0'.isprintable() }}",
     "True False False"                                                                                                                                    },
    {"{% set g = m|selectattr('x.y.z') %}{{ [1, []]|unique|first }}{{ ['a', 'b']|map('nosuch')|first if q }}",
     "1"                                                                                                                                                   },
    {"{{ q|batch(2) is defined }}{{ []|batch(none)|list }}{{ [1, 'a']|select('>', 0)|first }}",
     "True[]1"                                                                                                                                             },
    {"{{ ('a <b'|e).split() }} {{ [('x'|safe).upper()[0]] }} {{ ('<i>'|safe).replace('i', '<') }}",
     "[Markup('a'), Markup('&lt;b')] [Markup('X')] <&lt;>"                                                                                                 },
    {"{{ ('%s %d'|safe) % ('<', 3) }} {{ ('-'|safe).join(['<', 'a']) }}",                                                 "&lt; 3 &lt;-a"                  },
    {"{{ 'ß x-ßa'|title }} {{ 'ßa'.title() }} {{ 'ﬁn'.upper() }} {{ 'ﬁn'.capitalize() }} {{ 'İ'|lower|length }}",
     "SS X-SSa Ssa FIN Fin 2"                                                                                                                              },
    {"{{ 'ΑΣ Σ ΑΣ.Α ΑΣ’Α ΑΣ.'.lower() }}",                                                                   "ας σ ασ.α ασ’α ας."},
    {"{{ 'x² y\u0301z'|wordcount }}",                                                                                    "3"                              },
    {"{{ '{0:05}|{0!a}'.format('é') }}",                                                                                 "é0000|'\\xe9'"                 },
    {"[{{ l[] }}]",                                                                                                       "[]"                             },
};

static const row found_later_rows[] = {
    {"{{ (-0.125) ** 8 }} {{ 2.0 ** -24 }} {{ 9007199254740992.0 }} {{ 2.0 ** -1074 }}",
     "5.960464477539063e-08 5.960464477539063e-08 9007199254740992.0 5e-324"                                                 },
    {"{{ l|batch(0)|list }} {{ l|batch(2, 0)|list }}",                                     "[[], [3, 1, 2]] [[3, 1], [2, 0]]"},
    {"{{ '%.0c' % 65 }} {{ 'ΑΣß'.casefold() }} {{ 'ǆ'.title() }} {{ 'ა'.title() }}", "A ασss ǅ ა"                 },
};

static const char *const refused_sources[] = {
    "{{ l|sort(reverse=none) }}",
    "{{ d|dictsort(reverse='a') }}",
    "{% filter length %}a{% endfilter %}",
    "{{ '%5%' % () }}",
    "{{ '%(a)s %s' % d }}",
    "{{ '{:,}'.format('a') }}",
    "{{ '{:.3}'.format(3) }}",
    "{{ [] in d.keys() }}",
    "{{ dict(nope) }}",
    "{{ q|batch(2)|list }}",
    "{% for x in m|selectattr('x.y.z') %}{% endfor %}",
    "{{ [[]]|unique|first }}",
    "{{ [[], 1]|unique|map('abs')|join }}",
};

static void what_random_templates_found(void **state) {
    (void)state;
    CHECK_ROWS(found_rows);
    CHECK_ROWS(found_later_rows);
    for (size_t i = 0; i < sizeof refused_sources / sizeof refused_sources[0]; i++) {
        char *out;
        td_err err = {0};
        if (render(refused_sources[i], &out, &err) != TD_ERR_ARGUMENT)
            fail_msg("%s: %d '%s'", refused_sources[i], err.code, err.msg);
        assert_true(err.msg[0] != 0);
    }
}

static void errors_name_line_and_cause(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof error_rows / sizeof error_rows[0]; i++) {
        char *out;
        td_err err = {0};
        const td_status status = render(error_rows[i].source, &out, &err);
        if (status != error_rows[i].status || !strstr(err.msg, error_rows[i].message))
            fail_msg("%s\n got %d '%s'\nwant %d '%s'", error_rows[i].source, status, err.msg,
                     error_rows[i].status, error_rows[i].message);
        assert_int_equal(err.code, status);
        assert_int_equal(render(error_rows[i].source, &out, NULL), status);
    }
}

static void unknown_filters_fail_only_when_reached(void **state) {
    (void)state;
    static const row rows[] = {
        {"{% if q %}{{ x|nope }}{% endif %}a",                         "a"},
        {"{{ 1 if t else (2|nope) }}",                                 "1"},
        {"{% if q %}{% if t %}{{ x is nope }}{% endif %}{% endif %}b", "b"}
    };
    CHECK_ROWS(rows);
}

/* ---- limits ---- */

/* head, then body n times, then tail n times, then the head's end. */
static char *nested(const char *head, const char *body, const char *tail, int n) {
    td_strbuf b = {0};
    td_strbuf_adds(&b, head);
    for (int i = 0; i < n; i++) td_strbuf_adds(&b, body);
    for (int i = 0; i < n; i++) td_strbuf_adds(&b, tail);
    if (*head) td_strbuf_adds(&b, head[1] == '{' ? " }}" : "{% endif %}");
    return td_strbuf_take(&b);
}

static void deep_nesting_is_refused(void **state) {
    (void)state;
    static const char *const rows[][3] = {
        {"{{ ",  "(",                ")"           },
        {"{{ ",  "[",                "]"           },
        {"{{ ",  "{1:",              "}"           },
        {"{{ 1", "+1",               ""            },
        {"{{ 1", "|abs",             ""            },
        {"{{ a", ".b",               ""            },
        {"{{ ",  "not ",             ""            },
        {"{{ ",  "-",                ""            },
        {"",     "{% if 1 %}",       "{% endif %}" },
        {"{{ 1", " if 0 else 1",     ""            },
        {"",     "{% for x in l %}", "{% endfor %}"},
        {"{{ f", "(f",               ")"           },
        {"{{ x", "[x",               "]"           },
        {"{{ 1", "**1",              ""            },
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        char *source = nested(rows[i][0], rows[i][1], rows[i][2], 20000), *out;
        td_err err = {0};
        const td_status status = render(source, &out, &err);
        if (status != TD_ERR_LIMIT)
            fail_msg("%s%s: %d '%s'", rows[i][0], rows[i][1], status, err.msg);
        td_free(source);
    }
    char *flat = nested("{% if 0 %}", "{% elif 0 %}", "", 20000), *out;
    assert_int_equal(render(flat, &out, NULL), TD_OK);
    assert_string_equal(out, "");
    td_free(out);
    td_free(flat);
}

static void runaway_templates_stop(void **state) {
    (void)state;
    static const char *const sources[] = {
        "{% macro f(n) %}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "{% macro f(n) %}{{ f(n) }}{{ f(n) }}{% endmacro %}{{ f(1) }}",
        "{% macro f(n) %}{% if n %}{{ f(n-1) }}{{ f(n-1) }}{% endif %}{% endmacro %}{{ f(60) }}",
        "{% for i in [1] recursive %}{{ loop([1]) }}{% endfor %}",
        "{% for i in range(99999) %}{% for j in range(99999) %}{% endfor %}{% endfor %}",
        "{{ 'a' * 999999999999 }}",
        "{{ [1] * 999999999999999 }}",
        "{{ 'a'.center(999999999999) }}",
        "{{ '%999999999d' % 1 }}",
        "{% set ns = namespace(x='a') %}{% for i in range(99) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[1]) %}{% for i in range(99) %}{% set ns.x = ns.x + ns.x %}{% endfor %}",
        "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x }}",
        "{% set ns = namespace(x=[]) %}{% for i in range(9999) %}{% set ns.x = [ns.x] %}{% endfor %}{{ ns.x|tojson }}",
        "{% set a = namespace(x=[], y=[]) %}{% for i in range(99) %}{% set a.x = [a.x, a.x] %}{% set a.y = [a.y, a.y] %}{% endfor %}{{ a.x == a.y }}",
        "{% set ns = namespace(x=[]) %}{% set ns.x = [ns] %}{{ ns }}",
        "{% set x = 'ab' * 4000000 %}{% for i in range(99999) %}{{ x.count('b') }}{% endfor %}",
        "{% set x = 'a' * 8000000 %}{{ x.rfind('a' * 4000000 ~ 'b') }}",
        "{{ [1]|slice(999999999999)|list }}",
        "{{ [1]|batch(999999999999, 1)|list }}",
    };
    for (size_t i = 0; i < sizeof sources / sizeof sources[0]; i++) {
        char *out;
        td_err err = {0};
        const td_status status = render(sources[i], &out, &err);
        if (status != TD_ERR_LIMIT) fail_msg("%s: %d '%s'", sources[i], status, err.msg);
    }
}

static void limits_can_be_set(void **state) {
    (void)state;
    const char *steps = "{% for i in range(50) %}{{ i }}{% endfor %}";
    const char *depth =
        "{% macro f(n) %}{% if n %}{{ f(n - 1) }}{% endif %}x{% endmacro %}{{ f(9) }}";
    char *out;
    size_t n;
    assert_int_equal(
        render_n(steps, strlen(steps), &(td_template_limits){.max_steps = 100}, &out, &n, NULL),
        TD_ERR_LIMIT);
    assert_int_equal(
        render_n(steps, strlen(steps), &(td_template_limits){.max_output = 89}, &out, &n, NULL),
        TD_ERR_LIMIT);
    assert_int_equal(
        render_n(steps, strlen(steps), &(td_template_limits){.max_output = 90}, &out, &n, NULL),
        TD_OK);
    assert_int_equal(n, 90);
    td_free(out);
    assert_int_equal(
        render_n(depth, strlen(depth), &(td_template_limits){.max_depth = 9}, &out, &n, NULL),
        TD_ERR_LIMIT);
    assert_int_equal(
        render_n(depth, strlen(depth), &(td_template_limits){.max_depth = 10}, &out, &n, NULL),
        TD_OK);
    assert_string_equal(out, "xxxxxxxxxx");
    td_free(out);
}

/* ---- the rest ---- */

static void dates_are_of_now(void **state) {
    (void)state;
    char *out, want[64];
    const time_t now = time(NULL);
    struct tm local;
    assert_int_equal(render("{{ strftime_now('%Y-%m %%%z|') }}", &out, NULL), TD_OK);
    localtime_r(&now, &local);
    strftime(want, sizeof want, "%Y-%m %%|", &local);
    assert_string_equal(out, want);
    td_free(out);
    assert_int_equal(render("{{ strftime_now('') }}", &out, NULL), TD_OK);
    assert_string_equal(out, "");
    td_free(out);
}

static void bytes_of_any_kind_pass(void **state) {
    (void)state;
    static const char source[] = "a\0\xFF{{ 'b\0\xC3' ~ ('\xE2\x82'|length) }}";
    static const char want[] = "a\0\xFF"
                               "b\0\xC3"
                               "2";
    char *out;
    size_t n;
    assert_int_equal(render_n(source, sizeof source - 1, NULL, &out, &n, NULL), TD_OK);
    assert_int_equal(n, sizeof want - 1);
    assert_memory_equal(out, want, n);
    td_free(out);
}

/* Every prefix of a template is a template or a syntax error. */
static void truncated_templates_do_no_harm(void **state) {
    (void)state;
    static const char source[] =
        "{%- macro f(a, b='x') -%}{{ a ~ b|upper }}{%- endmacro %}{# c #}{% raw %}{{ }}{% endraw %}"
        "{% for k, v in d.items() if v is not none %}{{ loop.index }}{% else %}{% endfor %}"
        "{% set x = {'a': [1, 2.5e3, (3,)]}['a'][::-1] %}{{ f(*x[:1], b='q\\u00e9') if x else '' }}";
    for (size_t n = 0; n < sizeof source; n++) {
        char *copy = td_strndup(source, n), *out;
        const td_status status = render_n(copy, n, NULL, &out, NULL, NULL);
        assert_true(status == TD_OK || status == TD_ERR_FORMAT || status == TD_ERR_ARGUMENT);
        td_free(out);
        td_free(copy);
    }
}

static void vars_must_be_a_mapping(void **state) {
    (void)state;
    td_template *t;
    char *out;
    assert_int_equal(td_template_create(&t, "test", "a", 1, NULL), TD_OK);
    assert_int_equal(td_template_render(t, td_value_list(&arena), NULL, &out, NULL, NULL),
                     TD_ERR_ARGUMENT);
    assert_int_equal(td_template_render(t, NULL, NULL, &out, NULL, NULL), TD_ERR_ARGUMENT);
    assert_null(out);
    td_template_free(t);
    td_template_free(NULL);
}

static void every_failed_allocation_is_reported(void **state) {
    (void)state;
    static const char source[] =
        "{% macro g(a, b='x') %}{{ a ~ b|upper }}{% endmacro %}{% set ns = namespace(l=[]) %}"
        "{% for k, v in d|dictsort(by='key') if k %}{{ g(k, b='É'|lower) }}{% set ns.l = ns.l + [k] %}"
        "{% endfor %}{{ ns.l|tojson(indent=1) }}{% filter replace('a', 'é') %}{{ m }}{% endfilter %}"
        "{{ s.split(',')|join|title }}{{ '%5.1f' % f }}{{ '{:>9}'.format(n) }}{{ 'é'.isalpha() }}"
        "{{ ('x' * 40000)|length }}{{ {'a': 1, 'b': 2, 'c': 3, 'd': 4, 'e': 5, 'f': 6, 'g': 7,"
        " 'h': 8, 'i': 9}|tojson(sort_keys=true)|length }}";
    for (int64_t nth = 1;; nth++) {
        char *out;
        td_alloc_fault_set(nth);
        const td_status status = render(source, &out, NULL);
        const bool fired = td_alloc_fault_count() >= nth;
        td_alloc_fault_set(0);
        if (!fired) { /* also in builds without faults */
            assert_int_equal(status, TD_OK);
            td_free(out);
            break;
        }
        assert_int_equal(status, TD_ERR_NOMEM);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(precedence),
        cmocka_unit_test(literals),
        cmocka_unit_test(access),
        cmocka_unit_test(statements),
        cmocka_unit_test(macros),
        cmocka_unit_test(white_space),
        cmocka_unit_test(filters),
        cmocka_unit_test(tests_of_values),
        cmocka_unit_test(methods),
        cmocka_unit_test(what_random_templates_found),
        cmocka_unit_test(errors_name_line_and_cause),
        cmocka_unit_test(unknown_filters_fail_only_when_reached),
        cmocka_unit_test(deep_nesting_is_refused),
        cmocka_unit_test(runaway_templates_stop),
        cmocka_unit_test(limits_can_be_set),
        cmocka_unit_test(dates_are_of_now),
        cmocka_unit_test(bytes_of_any_kind_pass),
        cmocka_unit_test(truncated_templates_do_no_harm),
        cmocka_unit_test(vars_must_be_a_mapping),
        cmocka_unit_test(every_failed_allocation_is_reported),
    };
    return cmocka_run_group_tests(tests, set_up, tear_down);
}
