"""The shell scripts run where people clone the repository: Linux, macOS with its bash 3.2, and WSL."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SCRIPTS = sorted((ROOT / "scripts").glob("*.sh"))

# fmt: off
BASE_SYSTEM = [
    "awk", "base64", "basename", "bash", "cat", "chmod", "cksum", "cmp", "cp", "curl", "cut", "date", "dirname",
    "env", "getconf", "git", "grep", "head", "id", "ln", "ls", "mkdir", "mktemp", "mv", "od", "printenv",
    "printf", "rm", "sed", "seq", "sleep", "sort", "tail", "touch", "tr", "uname", "wc", "xargs",
]
# fmt: on
"""Commands of POSIX or of macOS without Homebrew."""

NOT_EVERYWHERE = {
    "a bash 4 builtin": r"\b(mapfile|readarray|coproc)\b",
    "a bash 4 shell option": r"\bshopt\b.*\b(globstar|lastpipe|inherit_errexit)\b",
    "a recursive glob": r"\*\*/",
    "an associative array or name reference": r"\b(declare|local|typeset)\s+-[a-zA-Z]*[An]",
    "a change of case": r"\$\{\w+(\[[^]]*\])?(\^|,)",
    "a transformation": r"\$\{\w+(\[[^]]*\])?@[A-Za-z]\}",
    "a bash 4 redirection": r"&>>|\|&",
    "a brace range, which bash 3.2 does not pad": r"\{0\d+\.\.",
    "EPOCHSECONDS": r"\bEPOCH(SECONDS|REALTIME)\b",
    "printf's time format": r"printf.*%\([^)]*\)T",
    "a command of GNU coreutils": r"(?<![\w./$-])(sha\d+sum|md5sum|nproc|realpath|tac|timeout|shuf)\b(?![\w./=-])",
    "an option of GNU readlink": r"\breadlink\s+-[a-z]*[efm]",
    "an option of GNU sed": r"\bsed\s+(-[a-z]*[ir]|--)",
    "an option of GNU date": r"\bdate\s+(-d|--)",
    "an option of GNU grep": r"\bgrep\s+(-[a-zA-Z]*P|--)",
    "an option of GNU xargs": r"\bxargs\s+(-[a-z]*[rd]|--)",
    "an option of GNU stat": r"\bstat\s+(-c|--)",
    "a long option of coreutils": r"(?<![\w./-])(cp|mv|rm|ln|ls|mkdir|mktemp|head|tail|sort|cut|tr|wc)\s+--\w",
}


def code_of(script: Path) -> Iterator[tuple[int, str]]:
    for number, line in enumerate(script.read_text().splitlines(), 1):
        yield number, "" if line.lstrip().startswith("#") else line


def not_everywhere(script: Path) -> list[str]:
    return [
        f"{script.name}:{number}: {what}: {line.strip()}"
        for number, line in code_of(script)
        for what, pattern in NOT_EVERYWHERE.items()
        if re.search(pattern, line)
    ]


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)
def test_script_uses_only_bash_3_2_and_the_common_part_of_gnu_and_bsd_commands(script: Path) -> None:
    assert not_everywhere(script) == []


def test_the_check_of_scripts_finds_what_macos_lacks(tmp_path: Path) -> None:
    script = tmp_path / "linux.sh"
    lines = [
        "wanted=$(cat a b | sha256sum)",
        "cores=$(nproc)",
        "shopt -s globstar nullglob",
        "for month in 2022-{01..12}; do",
        'here=$(readlink -f "$0")',
        "mapfile -t lines <file",
        "echo ${name,,}",
        "declare -A seen",
        "make |& tee log",
        "sed -i s/a/b/ file",
    ]
    script.write_text("\n".join(lines))
    found = not_everywhere(script)
    assert {int(line.split(":")[1]) for line in found} == set(range(1, len(lines) + 1))


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """The scripts beside an environment whose programs only print their arguments."""
    root = tmp_path / "checkout"
    shutil.copytree(ROOT / "scripts", root / "scripts")
    for name in ("requirements.txt", "pyproject.toml", ".env.example"):
        shutil.copy(ROOT / name, root)
    (root / ".venv" / "bin").mkdir(parents=True)
    for name in ("python", "uv"):
        program = root / ".venv" / "bin" / name
        program.write_text(f'#!/bin/sh\n[ "$1" = -c ] || echo "{name} $*"\n')
        program.chmod(0o755)
    commands = tmp_path / "commands"
    commands.mkdir()
    for name in BASE_SYSTEM:
        found = shutil.which(name)
        assert found or name == "curl", f"{name} is missing here"
        if found:
            (commands / name).symlink_to(found)
    python = commands / "python3"
    python.write_text('#!/bin/sh\n[ "$1" = -c ] || echo "Python 3.11.7"\n')
    python.chmod(0o755)
    return root


def run(checkout: Path, script: str, *arguments: str) -> list[str]:
    done = subprocess.run(
        [checkout / "scripts" / script, *arguments],
        env={"PATH": str(checkout.parent / "commands"), "HOME": str(checkout)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.splitlines()


def test_setup_and_tests_start_with_the_commands_of_macos_alone(checkout: Path) -> None:
    first = run(checkout, "setup.sh")
    assert [line.split()[:3] for line in first] == [["uv", "pip", "sync"], ["uv", "pip", "install"]]
    assert run(checkout, "setup.sh") == [], "nothing has changed since"
    assert "API_KEY=" in (checkout / ".env").read_text()
    with (checkout / "requirements.txt").open("a") as lock:
        lock.write("# another\n")
    assert run(checkout, "setup.sh") == first
    (started,) = run(checkout, "test.sh", "tests/unit")
    assert started.startswith("python -m pytest --numprocesses ")
    assert started.endswith("tests/unit")


def test_a_clone_with_windows_line_ends_keeps_those_of_scripts(tmp_path: Path) -> None:
    """`core.autocrlf` is Git for Windows' default; bash does not run a script with CRLF."""
    named = subprocess.run(["git", "ls-files", "*.sh", ".ci/run"], cwd=ROOT, capture_output=True, text=True, check=True)
    checkout = ["git", "-c", "core.autocrlf=true", "checkout-index", f"--prefix={tmp_path}/", *named.stdout.split()]
    subprocess.run(checkout, cwd=ROOT, check=True)
    scripts = [file for file in tmp_path.rglob("*") if file.is_file()]
    assert len(scripts) > 15
    assert [str(file) for file in scripts if b"\r" in file.read_bytes()] == []
