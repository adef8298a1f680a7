"""The shape of the package, read from its source: which way imports point, and what no module may hold or
touch.

Each rule is a function from a source tree to sentences about what breaks it. It must have nothing to say
about the gateway, and something about a tree with one bad module planted in it.
"""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).parent.parent

BASE = {"records", "errors", "config"}
# What each layer may import besides itself and the standard library; the drawing is in the README.
MAY_IMPORT = {
    "errors": set(),
    "records": {"errors"},
    "config": set(),
    "settings": {"config", "errors"},
    "telemetry": {"config", "errors"},
    "wire": {"records", "errors"},
    "signaling": set(),  # a package of its own: what it needs, it asks for by ``signaling/ports.py``
    "store": {"signaling", "wire"} | BASE,
    "delivery": {"wire"} | BASE,
    "blobs": BASE,
    "chat": {"blobs", "delivery", "signaling", "store", "wire"} | BASE,
    "net": {"delivery", "wire"} | BASE,
    "api": {"chat", "delivery", "signaling", "store", "net", "wire"}
    | BASE,  # net: the socket that its events come from
    "web": {"wire"} | BASE,
    "workers": BASE,
}
ANYTHING = {"app", "serving", "__main__"}

# All that bytes in, events out can need. ``http`` and ``urllib.parse`` are tables and text, their
# neighbours are not.
PURE = {
    *("__future__", "abc", "base64", "binascii", "codecs", "collections", "collections.abc", "dataclasses"),
    *("enum", "functools", "hashlib", "http", "itertools", "json", "math", "re", "struct", "types", "typing"),
    *("urllib.parse", "zlib", "msgspec", "websockets.speedups", "websockets.utils"),
}

MUTABLE = {
    *("list", "dict", "set", "bytearray", "deque", "defaultdict", "Counter", "OrderedDict", "ChainMap"),
    *("WeakSet", "WeakKeyDictionary", "WeakValueDictionary", "SimpleQueue", "count", "ContextVar"),
}


class Module(NamedTuple):
    path: Path
    layer: str
    tree: ast.Module

    def __str__(self) -> str:
        return str(self.path)


def modules(root: Path) -> Iterator[Module]:
    for file in sorted([*(root / "gateway").rglob("*.py"), *(root / "signaling").rglob("*.py")]):
        path = file.relative_to(root)
        layer = layer_of(".".join(path.with_suffix("").parts))
        if layer != "__init__" and "migrations" not in path.parts:  # Alembic's own form
            yield Module(path, layer, ast.parse(file.read_text(encoding="utf-8")))


def layer_of(name: str) -> str:
    """Of a module of ours, by its full name."""
    package, _, rest = name.partition(".")
    return package if package == "signaling" else rest.partition(".")[0]


def imports(module: Module) -> Iterator[str]:
    """Full names of everything imported, wherever in the file: a late import points somewhere too."""
    for node in ast.walk(module.tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            above = module.path.parts[: len(module.path.parts) - node.level] if node.level else ()
            source = ".".join([*above, *([node.module] if node.module else [])])
            # "from gateway import api" names a layer by what it imports.
            yield from (
                (f"{source}.{alias.name}" for alias in node.names) if source == "gateway" else (source,)
            )


def outward_imports(root: Path) -> list[str]:
    return [
        f"{module} imports {name}"
        for module in modules(root)
        if module.layer not in ANYTHING
        for name in imports(module)
        if name.split(".")[0] in ("gateway", "signaling")
        and layer_of(name) not in {module.layer} | MAY_IMPORT.get(module.layer, set())
    ]


def impure_wire(root: Path) -> list[str]:
    return [
        f"{module} imports {name}"
        for module in modules(root)
        if module.layer == "wire"
        for name in imports(module)
        if name not in PURE and name.split(".")[0] != "gateway"
    ]


def module_state(root: Path) -> list[str]:
    found = []
    for module in modules(root):
        for node in _at_module_level(module.tree):
            if isinstance(node, ast.Assign | ast.AnnAssign) and node.value is not None:
                targets = node.targets if isinstance(node, ast.Assign) else [node.target]
                names = [
                    name.id for target in targets for name in ast.walk(target) if isinstance(name, ast.Name)
                ]
                held = [name for name in names if not name.isupper() and not name.startswith("__")]
                if held and _is_mutable(node.value):
                    found.append(f"{module}:{node.lineno} holds {', '.join(held)}")
        found += [
            f"{module}:{node.lineno} changes a global"
            for node in ast.walk(module.tree)
            if isinstance(node, ast.Global)
        ]
    return found


def _at_module_level(tree: ast.Module) -> Iterator[ast.stmt]:
    """Statements that run at import, under ``if`` and ``try`` too; not those of classes and functions."""
    waiting: list[ast.AST] = list(tree.body)
    while waiting:
        node = waiting.pop()
        if isinstance(node, ast.stmt):
            yield node
        if not isinstance(node, ast.ClassDef | ast.FunctionDef | ast.AsyncFunctionDef):
            waiting += [child for child in ast.iter_child_nodes(node) if not isinstance(child, ast.expr)]


def _is_mutable(value: ast.expr) -> bool:
    if isinstance(value, ast.Tuple):
        return any(_is_mutable(element) for element in value.elts)
    if isinstance(value, ast.List | ast.Dict | ast.Set | ast.ListComp | ast.DictComp | ast.SetComp):
        return True
    if isinstance(value, ast.Call):
        function = value.func
        name = function.attr if isinstance(function, ast.Attribute) else getattr(function, "id", "")
        return name in MUTABLE
    return False


def environment_readers(root: Path) -> list[str]:
    """``__main__`` hands ``os.environ`` to ``settings``; nobody else knows that there is an environment."""
    return [
        f"{module}: {name}"
        for module in modules(root)
        if module.layer not in {"settings", "__main__"}
        for node in ast.walk(module.tree)
        for name in _names(node) & {"environ", "getenv", "environb", "putenv"}
    ]


def printers(root: Path) -> list[str]:
    return [
        f"{module}:{node.lineno} prints"
        for module in modules(root)
        if module.layer != "__main__"
        for node in ast.walk(module.tree)
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def _names(node: ast.AST) -> set[str]:
    match node:
        case ast.Attribute(attr=name) | ast.Name(id=name):
            return {name}
        case ast.ImportFrom(module="os", names=aliases):
            return {alias.name for alias in aliases}
        case _:
            return set()


RULES = [outward_imports, impure_wire, module_state, environment_readers, printers]


@pytest.mark.parametrize("rule", RULES)
def test_the_gateway_keeps_the_rule(rule: Callable[[Path], list[str]]) -> None:
    assert rule(ROOT) == []


def test_every_part_of_the_package_has_a_place() -> None:
    assert {module.layer for module in modules(ROOT)} <= MAY_IMPORT.keys() | ANYTHING


def test_the_order_of_the_layers_has_no_circle() -> None:
    placed: set[str] = set()
    waiting = dict(MAY_IMPORT)
    while ready := {layer for layer, below in waiting.items() if below <= placed}:
        placed |= ready
        waiting = {layer: below for layer, below in waiting.items() if layer not in ready}
    assert waiting == {}


@pytest.mark.parametrize(
    ("rule", "path", "source"),
    [
        (outward_imports, "net/door.py", "from gateway.api.routes import Api"),
        (outward_imports, "net/door.py", "def f():\n    import gateway.api"),
        (outward_imports, "net/door.py", "from gateway import api"),
        (outward_imports, "net/door.py", "from ..api import routes"),
        (outward_imports, "chat/rooms.py", "if TYPE_CHECKING:\n    from gateway.api.parse import x"),
        (outward_imports, "store/engine.py", "import gateway.chat.rooms"),
        (outward_imports, "delivery/hub.py", "from gateway.store.ports import Store"),
        (outward_imports, "wire/frames.py", "from gateway.config import Config"),
        (outward_imports, "records.py", "from gateway.wire.http import Request"),
        (outward_imports, "delivery/fanout.py", "from signaling.call import Call"),
        (outward_imports, "../signaling/calls.py", "from gateway.records import Roster"),
        (module_state, "../signaling/calls.py", "live = {}"),
        (outward_imports, "novel/thing.py", "from gateway.errors import GatewayError"),
        (impure_wire, "wire/frames.py", "import trio"),
        (impure_wire, "wire/frames.py", "import time"),
        (impure_wire, "wire/frames.py", "from logging import getLogger"),
        (impure_wire, "wire/frames.py", "import http.client"),
        (impure_wire, "wire/frames.py", "def f():\n    import socket"),
        (module_state, "net/door.py", "connections = {}"),
        (module_state, "net/door.py", "connections: set[int] = set()"),
        (module_state, "net/door.py", "_seen = [n for n in range(3)]"),
        (module_state, "net/door.py", "import collections\nqueue = collections.deque(maxlen=3)"),
        (module_state, "net/door.py", "try:\n    import x\nexcept ImportError:\n    fallback = []"),
        (module_state, "net/door.py", "a, b = 1, {}"),
        (module_state, "net/door.py", "n = 0\ndef f():\n    global n\n    n += 1"),
        (environment_readers, "net/door.py", "import os\nx = os.environ['X']"),
        (environment_readers, "net/door.py", "from os import getenv"),
        (printers, "net/door.py", "def f():\n    print('x')"),
    ],
)
def test_a_planted_fault_is_found(
    tmp_path: Path, rule: Callable[[Path], list[str]], path: str, source: str
) -> None:
    file = tmp_path / "gateway" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    (found,) = rule(tmp_path)
    assert path.removeprefix("../") in found


@pytest.mark.parametrize(
    ("path", "source"),
    [
        (
            "net/door.py",
            "from gateway.wire.http import Request\nimport trio\nTABLE = {1: 2}\n__all__ = ['x']",
        ),
        ("net/door.py", "encode = msgspec.json.Encoder().encode\nlog = structlog.get_logger()"),
        ("net/door.py", "class A:\n    table = {}\n\ndef f():\n    seen = []"),
        ("settings.py", "import os\nx = os.environ"),
        ("__main__.py", "from gateway.serving import serve\nprint('x')"),
    ],
)
def test_what_is_allowed_is_not_found(tmp_path: Path, path: str, source: str) -> None:
    file = tmp_path / "gateway" / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(source)
    assert [fault for rule in RULES for fault in rule(tmp_path)] == []
