"""Changes that make a valid input hostile: to bytes, to trees of JSON or YAML, to argument lists.

Everything is drawn from the ``random.Random`` that is given, so that an input can be made again.
"""

import copy
import json
import re

import yaml

NUMBERS = (
    *(b"-1", b"0", b"nan", b"inf", b"-0.0", b"1e999", b"1_0", b"99999999999999999999", b".inf"),
    *("²".encode(), "٣".encode(), b"9" * 5000, b"1e-320", b"4294967296", b"0x7fffffffffffffff"),
)
BINARY = (
    *(b"\xff" * 4, b"\xff" * 8, bytes(4), bytes(8), b"\x80\0\0\0", b"\0\0\0\x80"),
    *(b"\x7f" + b"\xff" * 7, b"\xff" * 7 + b"\x7f", b"\0\0\0\0\x10\0\0\0", b"\0\0\0\x10"),
)
TEXT = (
    *(b"[", b"]", b"{", b"}", b'"', b"'", b",", b": ", b"- ", b"\n", b"\r", b"  ", b"\t", b"~"),
    *(b"&a ", b"*a", b"!!int ", b"!!bool x", b"!!float ''", b"!!timestamp x", b"!!binary '*'"),
    *(b"<<: ", b"? ", b"---\n", b"#", b"|", b"%", b"\xff", b"\0", b"\xc3\xa9", b"\xe2\x80\xa8"),
    *(b"1:60", b"2001-99-99", b"[" * 2000, b'{"a":' * 2000, b"\\ud800", b"null", b"NaN"),
)
#: What no entry of a file of ours should be, and what any may become.
WRONG = (
    *(None, True, False, 0, -1, 1, 2.5, -0.0, 1e400, -1e400, float("nan"), 5e-324, 1e308),
    *(10**30, 10**400, -(10**30), 2**31, 2**63, 1 << 20, "", "x", " ", "1e3", "²", "é\u2028\n"),
    *([], [[]], [None], {}, {"a": {}}, [[[[]]]], ["x"] * 3, [0.0, 0.0, 0.0], {"name": "x"}),
    *("x" * 3000, [1] * 500, {str(i): i for i in range(200)}, "\x00", "..", "../x"),
)
#: Values of flags. No NUL, which no operating system lets through.
ARGUMENTS = (
    *("", " ", "-", "--", "-1", "0", "nan", "inf", "-inf", "1e999", "1e-320", "9" * 5000, "²"),
    *("1_0", "٣", "99999999999999999999", "0x10", "true", "None", "a\nb", "a\u2028b\x85c", "\x1b["),
    *("%s%n%(x)s", "{level}{", "{0.x}", "x" * 5000, "../../x", "/", ".", "~", "*", "[", "$(id)"),
    *("=", "a=b=c", ",,,", "1,2,3,4", "nose=", "nose=nan", "\udcff", "@x", "x.json", "x.md/"),
)


def mutated_bytes(random, content, tokens=()):
    """Return bytes with one to four changes."""
    for _ in range(random.choice((1, 1, 2, 4))):
        content = random.choice(_EDITS)(random, content, tokens)
    return content


def _place(random, content):
    """Return where to change something: heads are short and matter most."""
    return random.randint(0, min(len(content), random.choice((32, 512, len(content)))))


def _token(random, tokens):
    return random.choice(
        random.choice([group for group in (NUMBERS, BINARY, TEXT, tokens) if group])
    )


def _overwrite(random, content, tokens):
    at, token = _place(random, content), _token(random, tokens)
    return content[:at] + token + content[at + len(token) :]


def _insert(random, content, tokens):
    at = _place(random, content)
    return content[:at] + _token(random, tokens) + content[at:]


def _delete(random, content, _):
    at = _place(random, content)
    return content[:at] + content[at + random.choice((1, 1, 2, 4, 8, 40)) :]


def _truncate(random, content, _):
    return content[: random.randint(0, len(content))]


def _repeat(random, content, _):
    at = _place(random, content)
    piece = content[at : at + random.choice((1, 4, 40, 400))]
    return content[:at] + piece * random.choice((1, 1, 2, 30)) + content[at:]


def _swap(random, content, _):
    first, second = sorted((_place(random, content), random.randint(0, len(content))))
    length = random.choice((1, 4, 8, 40))
    one, other = content[first : first + length], content[second : second + length]
    if first + length > second:
        return content
    return (
        content[:first]
        + other
        + content[first + length : second]
        + one
        + content[second + length :]
    )


def _flip(random, content, _):
    if not content:
        return content
    at = min(_place(random, content), len(content) - 1)
    return content[:at] + bytes([content[at] ^ 1 << random.randrange(8)]) + content[at + 1 :]


def _count(random, content, _):
    """Change one of the whole numbers that are stored in four or eight bytes."""
    size, at = random.choice((2, 4, 8)), _place(random, content)
    order = random.choice(("little", "big"))
    old = int.from_bytes(content[at : at + size], order)
    new = random.choice((old + 1, old - 1, old * 2, old * 1000, -old, 1 << (8 * size - 2)))
    return content[:at] + (new % (1 << 8 * size)).to_bytes(size, order) + content[at + size :]


def _number(random, content, _):
    """Change one of the numbers that are written as text."""
    found = [match.span() for match in re.finditer(rb"[-+.\d]*\d", content[:20_000])]
    if not found:
        return _flip(random, content, _)
    begin, end = random.choice(found)
    return content[:begin] + random.choice(NUMBERS) + content[end:]


_EDITS = (_overwrite, _insert, _delete, _truncate, _repeat, _swap, _flip, _flip, _count, _number)


def places(tree, path=()):
    """Yield the path of every node of a tree of dictionaries and lists."""
    yield path
    if isinstance(tree, (dict, list)):
        for key, item in tree.items() if isinstance(tree, dict) else enumerate(tree):
            yield from places(item, (*path, key))


def at(tree, path):
    """Return the node of a path."""
    for key in path:
        tree = tree[key]
    return tree


def with_value(tree, path, value):
    """Return a copy of a tree with another node."""
    if not path:
        return value
    tree = copy.deepcopy(tree)
    at(tree, path[:-1])[path[-1]] = value
    return tree


def mutated_tree(random, tree):
    """Return a copy with one or two nodes replaced, moved, doubled, wrapped or taken away."""
    for _ in range(random.choice((1, 1, 1, 2))):
        paths = list(places(tree))
        path = random.choice(paths)
        old, way = at(tree, path), random.randrange(8)
        if way < 4 or not path:
            tree = with_value(tree, path, random.choice(WRONG))
        elif way == 4:
            tree = with_value(tree, path, copy.deepcopy(at(tree, random.choice(paths))))
        elif way == 5:
            tree = with_value(tree, path, [old] if random.random() < 0.5 else {"name": old})
        elif way == 6:
            tree = copy.deepcopy(tree)
            del at(tree, path[:-1])[path[-1]]
        else:
            tree = copy.deepcopy(tree)
            parent = at(tree, path[:-1])
            if isinstance(parent, list):
                parent.append(old)
            else:
                parent[random.choice(("x", "name", str(path[-1]) + "x"))] = old
    return tree


def mutated_text(random, tree, suffix):
    """Return a mutated tree as the bytes of a ``.json`` or ``.yaml``."""
    tree = mutated_tree(random, tree)
    if suffix == ".yaml":
        return yaml.safe_dump(tree, sort_keys=False, default_flow_style=None).encode("utf-8")
    return json.dumps(tree).encode("utf-8")


def random_arguments(random, parser):
    """Return an argument list out of a parser's own flags, with values good and hostile."""
    words = []
    actions = [action for action in parser._actions if action.dest != "help"]
    for action in actions:
        if not action.option_strings:
            words.append(_positional(random, action))
        elif action.required or random.random() < 3 / (len(actions) + 3):
            words.append(_flag(random, action))
    if random.random() < 0.3:
        random.shuffle(words)
    if random.random() < 0.1:
        words.insert(random.randint(0, len(words)), [random.choice(ARGUMENTS)])
    if words and random.random() < 0.1:
        words.remove(random.choice(words))
    return [word for group in words for word in group]


def _flag(random, action):
    name = random.choice(action.option_strings)
    if random.random() < 0.05:
        name = random.choice((name[:-1], name + "x", name.upper(), "-" + name))
    count = 0 if action.nargs == 0 else 1 if action.nargs is None else random.randint(0, 3)
    values = [_value(random, action) for _ in range(count)]
    if len(values) == 1 and random.random() < 0.3:
        return [f"{name}={values[0]}"]
    return [name, *values]


def _positional(random, action):
    if hasattr(action.choices, "items"):  # commands of their own
        name = random.choice([*action.choices, *random.sample(ARGUMENTS, 2)])
        chosen = action.choices.get(name)
        return [name, *(random_arguments(random, chosen) if chosen else ())]
    count = 1 if action.nargs is None else random.randint(0, 3)
    return [_value(random, action) for _ in range(count)]


def _value(random, action):
    if random.random() < 0.25:
        return random.choice(ARGUMENTS)
    if action.choices:
        return str(random.choice(list(action.choices)))
    if action.type is int:
        return str(random.choice((1, 2, 3, 50)))
    if action.type is not None:
        return random.choice(("0.5", "1", "20"))
    return random.choice(("x", "cpu", "1,2,3,4", "nose=0.5", "planar3", "json,csv", "900"))
