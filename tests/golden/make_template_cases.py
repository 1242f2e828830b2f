#!/usr/bin/env python3
"""Writes templates.json: chat templates rendered by jinja2 exactly as transformers does.

usage: make_template_cases.py [folder of *.jinja]     default: ../shared/chat-templates

The templates are not copied: a case names the file.  Each conversation stands once, with all the
variables it is rendered with.  A date is written as <<NOW:format>>, for the test to fill in.
Outputs share much of their text with others of the same template, so that a case may refer to an
earlier one: [file, conversation, base case or -1, bytes kept of its start, bytes kept of its end,
text between].  An error is [file, conversation, message]: the message of raise_exception, or "" for
any other error, whose words are Python's.
"""
import json
import os
import sys

import jinja2
from transformers.utils import chat_template_utils as ctu

HERE = os.path.dirname(os.path.abspath(__file__))

WEATHER = {"type": "function", "function": {
    "name": "get_weather", "description": "Get the weather for a place.",
    "parameters": {"type": "object", "properties": {
        "city": {"type": "string", "description": "The city & country, e.g. \"Paris\"."},
        "unit": {"type": "string", "enum": ["celsius", "fahrenheit"], "default": "celsius"}},
        "required": ["city"]},
    "return": {"type": "string", "description": "A sentence."}}}
SEARCH = {"type": "function", "function": {
    "name": "search", "description": "Search documents <b>everywhere</b>.",
    "parameters": {"type": "object", "properties": {
        "query": {"type": "array", "items": {"type": "string"}, "description": "Terms"},
        "filter": {"type": "object", "description": "Limits", "properties": {
            "year": {"type": ["integer", "null"], "nullable": True, "default": 2020},
            "tags": {"type": "array", "items": {"type": "object", "properties": {
                "name": {"type": "string"}, "weight": {"type": "number"}}, "required": ["name"]}}},
            "required": ["year"]},
        "mode": {"oneOf": [{"type": "string", "description": "a name"}, {"type": "integer", "default": 3}]},
        "deep": {"type": "boolean", "default": False}},
        "required": ["query"], "$defs": {"x": {"a": 1.5, "b": None}}}}}
NO_ARGS = {"type": "function", "function": {
    "name": "now", "description": "The time.", "parameters": {"type": "object", "properties": {}}}}


def m(role, content, **more):
    return {"role": role, "content": content, **more}


def call(name, arguments, id):
    return {"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}


HELLO = [m("user", "Hello, who are you?")]
TURNS = [m("system", "You are terse."), m("user", "Hi"), m("assistant", "Hello."), m("user", "2+2?"),
         m("assistant", "4"), m("user", "Thanks!")]
TOOL_TURN = [m("user", "Weather in Paris?"),
             m("assistant", "", tool_calls=[call("get_weather", {"city": "Paris", "unit": "celsius"}, "abcdefghi")]),
             m("tool", "{\"temp\": 21, \"sky\": \"clear\"}", tool_call_id="abcdefghi", name="get_weather")]
REASONING = [m("user", "What is 17*3?"),
             m("assistant", "51", reasoning_content="17*3 = 51.\nCheck: 51/3 = 17."),
             m("user", "And 18*3?")]

CONVERSATIONS = {
    "user": dict(messages=HELLO, add_generation_prompt=True),
    "user, no prompt": dict(messages=HELLO + [m("assistant", "A model.")], add_generation_prompt=False),
    "system": dict(messages=[m("system", "You are a pirate.\n")] + HELLO, add_generation_prompt=True),
    "turns": dict(messages=TURNS, add_generation_prompt=True),
    "turns, thinking": dict(messages=TURNS, add_generation_prompt=True, enable_thinking=True, thinking=True,
                            reasoning_effort="high", thinking_mode="thinking"),
    "turns, not thinking": dict(messages=TURNS, add_generation_prompt=True, enable_thinking=False,
                                thinking=False, reasoning_effort="low", thinking_mode="chat"),
    "tools": dict(messages=HELLO, tools=[WEATHER, NO_ARGS], add_generation_prompt=True),
    "tools, nested": dict(messages=[m("system", "Use tools.")] + HELLO, tools=[SEARCH],
                          add_generation_prompt=True, builtin_tools=["browser", "python"]),
    "tool call": dict(messages=TOOL_TURN[:2], tools=[WEATHER], add_generation_prompt=False),
    "tool result": dict(messages=TOOL_TURN, tools=[WEATHER], add_generation_prompt=True),
    "tool answer": dict(messages=[m("system", "Sys.")] + TOOL_TURN +
                        [m("assistant", "21 °C and clear."), m("user", "And tomorrow?")],
                        tools=[WEATHER], add_generation_prompt=True),
    "tool call, text arguments": dict(messages=[
        m("user", "Time?"), m("assistant", None, tool_calls=[call("now", "{\"a\": 1}", "123456789")]),
        m("tool", "noon", tool_call_id="123456789")], tools=[NO_ARGS], add_generation_prompt=True),
    "two tool calls": dict(messages=[
        m("user", "Both"), m("assistant", "Let me see.", reasoning_content="Two calls.", tool_calls=[
            call("get_weather", {"city": "Rome"}, "aaaaaaaaa"),
            call("search", {"query": ["a", "b"], "filter": {"year": None, "x": 1.0}, "deep": True}, "bbbbbbbbb")]),
        m("tool", "rain", tool_call_id="aaaaaaaaa", name="get_weather"),
        m("tool", [{"type": "text", "text": "found"}], tool_call_id="bbbbbbbbb", name="search")],
        tools=[WEATHER, SEARCH], add_generation_prompt=True, thinking=True, enable_thinking=True),
    "reasoning": dict(messages=REASONING, add_generation_prompt=True, enable_thinking=True, thinking=True),
    "think tags": dict(messages=[
        m("user", "Q1"), m("assistant", "<think>\nhmm\n</think>\n\nA1"), m("user", "Q2"),
        m("assistant", "<think>x</think>A2")], add_generation_prompt=False),
    "unicode": dict(messages=[m("system", "Réponds en français — toujours."),
                              m("user", "  你好, мир! 🦜🏳️‍🌈 \u00a0e\u0301 \"q\" 'x' <b>&amp;</b>\\n\ttab  "),
                              m("assistant", "\n ¡Olé! \n"), m("user", "ǅ ß İ")], add_generation_prompt=True),
    "parts": dict(messages=[m("user", [{"type": "text", "text": "What is "}, {"type": "text", "text": "this?"}])],
                  add_generation_prompt=True),
    "image": dict(messages=[m("user", [{"type": "image", "image": "x.png"}, {"type": "text", "text": "Describe."}])],
                  add_generation_prompt=True),
    "documents": dict(messages=HELLO, documents=[{"title": "T1", "text": "Body \"1\"", "doc_id": 1},
                                                 {"title": "T2", "text": "Body 2", "doc_id": 2}],
                      add_generation_prompt=True, date_string="01 Jan 2024"),
    "developer": dict(messages=[m("developer", "Be nice."), m("user", "Hi")], add_generation_prompt=True),
    "wrong order": dict(messages=[m("assistant", "I begin."), m("user", "a"), m("user", "b")],
                        add_generation_prompt=True),
    "unknown role": dict(messages=[m("user", "a"), m("narrator", "Meanwhile...")], add_generation_prompt=True),
    "no messages": dict(messages=[], add_generation_prompt=True),
    "no content": dict(messages=[{"role": "user"}], add_generation_prompt=True),
}


def variables(conversation):
    v = {"bos_token": "<s>", "eos_token": "</s>", "pad_token": "<pad>", "tools": None, "documents": None}
    v.update(conversation)
    v["messages"] = ctu._alias_reasoning_fields(v["messages"])
    return v


def render(source, given):
    """The output, and None; or None, and the error's message."""
    try:
        template = ctu._compile_jinja_template(source)
        template.globals["strftime_now"] = lambda f: "<<NOW:" + f + ">>"
        return template.render(**json.loads(json.dumps(given))), None
    except jinja2.exceptions.TemplateError as e:
        return None, str(e) if type(e) is jinja2.exceptions.TemplateError else ""
    except Exception:
        return None, ""


def common(a, b):
    n = 0
    while n < min(len(a), len(b)) and a[n] == b[n]:
        n += 1
    return n


def encode(name, conversation, output, earlier):
    """The shortest way to write the output in terms of one of the earlier ones."""
    raw = output.encode()
    best = [name, conversation, -1, 0, 0, output]
    for i, other in earlier:
        start = common(raw, other)
        while start and start < len(raw) and raw[start] & 0xC0 == 0x80:
            start -= 1
        end = common(raw[start:][::-1], other[start:][::-1])
        while end and raw[len(raw) - end] & 0xC0 == 0x80:
            end -= 1
        between = raw[start:len(raw) - end].decode()
        if len(between) < len(best[5]):
            best = [name, conversation, i, start, end, between]
    return best


def main():
    folder = sys.argv[1] if len(sys.argv) > 1 else os.path.join(HERE, "../../../shared/chat-templates")
    given = {name: variables(c) for name, c in CONVERSATIONS.items()}
    cases, n_error = [], 0
    for name in sorted(os.listdir(folder)):
        if not name.endswith(".jinja"):
            continue
        source = open(os.path.join(folder, name), encoding="utf-8", newline="").read()
        earlier = []
        for conversation in given:
            output, error = render(source, given[conversation])
            if output is None:
                cases.append([name, conversation, error])
                n_error += 1
                continue
            cases.append(encode(name, conversation, output, earlier))
            earlier.append((len(cases) - 1, output.encode()))
    path = os.path.join(HERE, "templates.json")
    with open(path, "w", encoding="utf-8") as f:
        f.write('{"jinja2": %s,\n"conversations": {\n' % json.dumps(jinja2.__version__))
        f.write(",\n".join(json.dumps(k) + ": " + json.dumps(v, ensure_ascii=False) for k, v in given.items()))
        f.write('},\n"cases": [\n' + ",\n".join(json.dumps(c, ensure_ascii=False) for c in cases) + "]}\n")
    print(f"{len(cases)} cases, {n_error} of them errors, {os.path.getsize(path)} bytes")


main()
