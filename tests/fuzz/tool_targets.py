"""Targets that are command lines: each tool up to where it begins to work."""

import contextlib
import io
import json
import sys
from unittest import mock

from gluon_dkpr import cli
from gluon_dkpr.engine.export import Calibration
from gluon_dkpr.engine.fit_files import joint_weights
from gluon_dkpr.engine.launch import _check as check_request
from gluon_dkpr.engine.prediction.flags import options_of
from gluon_dkpr.service import Limits
from gluon_dkpr.skeleton import get_skeleton
from tests.engine.hand_set import TOOLS, load_tool
from tests.fuzz.mutations import random_arguments
from tests.fuzz.runner import Case, Target


class BegunError(BaseException):
    """The command line is right, and the tool begins to work."""


class RefusedError(Exception):
    """A tool ended with status 2; the message is what it printed."""


def parsed(tool, arguments):
    """Return what a tool's own ``parse`` makes of arguments."""
    takes = tool.parse.__code__.co_argcount
    return tool.parse(arguments) if takes else tool.parse()


def begin_export(tool, arguments):
    args = parsed(tool, arguments)
    Calibration(**{"record": None, **args.int8})


def begin_fit(tool, arguments):
    args = parsed(tool, arguments)
    joint_weights(get_skeleton(args.skeleton), args.weights)


def begin_launch(tool, arguments):
    check_request(parsed(tool, arguments))


def begin_h36m(tool, arguments):
    tool.options(parsed(tool, arguments))


def begin_serve(tool, arguments):
    args = parsed(tool, arguments)
    Limits(args.batch, args.wait_ms, args.max_bytes, args.max_pixels, args.timeout, args.queue)


def begin_predict(tool, arguments):
    options_of(parsed(tool, arguments)[1])


def begin_train(tool, arguments):
    tool.resolve(parsed(tool, arguments))


def begin_main(tool, _):
    """Of a tool that parses in ``main``: until the arguments are read."""
    tool.main()


#: Tool -> arguments that are right, and how far it goes without beginning to work.
WAYS = {
    "benchmark.py": (["kinematics", "--seconds", "1"], parsed),
    "evaluate.py": (["x", "--batch-size", "3"], parsed),
    "export.py": (["x", "--format", "int8"], begin_export),
    "fit.py": (["x.csv", "--weights", "nose=0.5"], begin_fit),
    "launch.py": (["-n", "2", "--", "python", "train.py"], begin_launch),
    "make_h36m_record.py": (["--raw", "x"], begin_h36m),
    "make_human_record.py": (["--train", "3"], parsed),
    "make_toy_record.py": (["--level", "3"], begin_main),
    "predict.py": (["x", "y.png", "--box", "1,2,3,4"], begin_predict),
    "reproduce_toy.py": (["--quick"], begin_main),
    "serve.py": (["x", "--port", "0"], begin_serve),
    "train.py": (["--preset", "toy6", "--epochs", "2"], begin_train),
}


def parser_of(tool):
    """Return the parser that a tool makes."""
    with _stopping() as parsers, contextlib.suppress(BegunError):
        tool.main() if not hasattr(tool, "parse") else parsed(tool, [])
    return parsers[0]


@contextlib.contextmanager
def _stopping(after=False):
    """Stop a tool where it parses, or ``after`` it has; yield the list of its parsers."""
    parsers, parse = [], cli.Parser.parse_args

    def stop(parser, *values):
        parsers.append(parser)
        if after:
            parse(parser, *values)
        raise BegunError

    with mock.patch.object(cli.Parser, "parse_args", stop):
        yield parsers


def target_of(name, arguments, begin):
    """Return the target of a tool; the file of its case is the list of arguments, as JSON."""
    tool = load_tool(name)
    parser = parser_of(tool)

    def call(path):
        words = json.loads(path.read_text())
        err = io.StringIO()
        stop = _stopping(after=True) if begin is begin_main else contextlib.nullcontext()
        with contextlib.ExitStack() as stack:
            stack.enter_context(mock.patch.object(sys, "argv", [str(TOOLS / name), *words]))
            stack.enter_context(contextlib.redirect_stdout(io.StringIO()))
            stack.enter_context(contextlib.redirect_stderr(err))
            stack.enter_context(stop)
            status = _status(lambda: begin(tool, words) and None)
        if status:
            line, end = err.getvalue()[:-1], err.getvalue()[-1:]
            assert status == cli.EXIT_USER_ERROR, status
            assert end == "\n" and len(line.splitlines()) == 1, err.getvalue()
            raise RefusedError(line)
        assert not err.getvalue()

    def mutate(rng, *_):
        return json.dumps(random_arguments(rng, parser)).encode()

    return Target(
        name, lambda _: [Case("arguments", json.dumps(arguments).encode())], call,
        (RefusedError,), mutate=mutate, names_file=False, max_message=6000,
    )  # fmt: skip


def _status(main):
    try:
        cli.run(main)
    except BegunError:
        return 0
    except SystemExit as end:
        return end.code


TARGETS = [target_of(name, *way) for name, way in WAYS.items()]
