"""A verb of the CLI in this process: those of its own take ten seconds of imports each."""

import logging
import os
import subprocess
import sys
from collections.abc import Mapping
from contextlib import redirect_stderr, redirect_stdout
from io import StringIO
from pathlib import Path

import pytest

from autoops import cli

Run = subprocess.CompletedProcess[str]


def call(arguments: tuple[str, ...], directory: Path, environment: Mapping[str, str]) -> Run:
    """What `autoops` with these arguments would end with, as `subprocess.run` returns it."""
    before, out, err, root = dict(os.environ), StringIO(), StringIO(), logging.getLogger()
    handlers, level, code = root.handlers[:], root.level, 0
    with pytest.MonkeyPatch.context() as patch, redirect_stdout(out), redirect_stderr(err):
        patch.chdir(directory)
        patch.setattr(sys, "argv", ["autoops", *arguments])
        try:
            os.environ.clear()
            os.environ.update(environment)
            cli.main()
        except SystemExit as end:
            code = int(end.code or 0)
        finally:
            os.environ.clear()
            os.environ.update(before)
            root.handlers[:] = handlers
            root.setLevel(level)
    return Run(arguments, code, out.getvalue(), err.getvalue())
