"""Top-level folders of the repository must not hide installed packages from `python -m ...` at its root."""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent.parent


def hidden_packages(root: Path, installed: Path) -> set[str]:
    """Top-level packages and modules of `root` that exist in `installed` too; a folder without `__init__.py` is a
    namespace, and loses against an installed package."""
    ours = {path.parent.name for path in root.glob("*/__init__.py")} | {path.stem for path in root.glob("*.py")}
    theirs = {path.name for path in installed.iterdir() if path.is_dir()} | {
        path.stem for path in installed.glob("*.py")
    }
    return ours & theirs


def test_no_top_level_folder_hides_an_installed_package() -> None:
    assert hidden_packages(ROOT, Path(sysconfig.get_path("purelib"))) == set()


def test_a_package_that_would_hide_one_is_found(tmp_path: Path) -> None:
    for name in ("root/airflow", "root/ours", "installed/airflow"):
        (tmp_path / name).mkdir(parents=True)
    assert hidden_packages(tmp_path / "root", tmp_path / "installed") == set()
    (tmp_path / "root" / "airflow" / "__init__.py").touch()
    assert hidden_packages(tmp_path / "root", tmp_path / "installed") == {"airflow"}


@pytest.mark.parametrize("package", ["airflow", "mlflow"])
def test_the_installed_package_is_found_from_the_root(package: str, tmp_path: Path) -> None:
    """A bare folder can be imported just as well, but has no version. `-c` puts the working directory first on
    the path, as `-m` does."""
    code = f"import importlib.util as u; print(u.find_spec('{package}').origin)"
    env = {**os.environ, "AIRFLOW_HOME": str(tmp_path)}
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=True)
    assert Path(done.stdout.strip()).is_relative_to(sysconfig.get_path("purelib"))
