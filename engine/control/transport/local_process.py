"""The way to this machine itself, to check it or where it is a cluster's: the same agent, without ssh."""

from __future__ import annotations

import os
import secrets
import shutil
import subprocess
import sys
from pathlib import Path

import orjson

import engine
from engine.control.onhost import agent
from engine.control.transport.base import REQUEST_LIMIT_S, A, UnreachableError, answer_in, mend_of
from engine.errors import LaunchError
from engine.records.hosts import Host


class LocalProcess:
    """Requests to the agent, as a process of this machine."""

    def __init__(self, host: Host) -> None:
        self.host = host
        self._workspace = Path(host.workspace).expanduser()
        python = host.python if host.python != "python3" else sys.executable
        self._argv = [python, agent.__file__, str(self._workspace)]

    def ask(self, verb: str, kind: type[A], *, limit_s: float = REQUEST_LIMIT_S, **details: object) -> A:
        """The agent's answer. LaunchError where there is none."""
        nonce = secrets.token_hex(8)
        try:
            done = subprocess.run(
                [*self._argv, nonce], input=orjson.dumps({"do": verb, **details}), capture_output=True, timeout=limit_s,
                check=False,
            )  # fmt: skip
        except subprocess.TimeoutExpired:
            raise UnreachableError(f"no answer within {limit_s:.0f} s.", where=self.host.name) from None
        except OSError as error:
            mend = "Set `python` of this host in hosts.toml."
            raise LaunchError(f"{self._argv[0]}: {error.strerror}.", where=self.host.name, mend=mend) from None
        answer = answer_in(done.stdout, nonce, self.host, kind)
        if answer is None:
            raise LaunchError(f"{done.stderr.decode(errors='replace').strip()[-300:]}.", where=self.host.name)
        return answer

    def send(self, source: Path, target: str) -> None:
        """A file or folder into a folder of the workspace there: a copy, for the one here may change."""
        folder = self._workspace / target
        copy = folder / source.name
        if copy.exists():
            return
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        aside = folder / f".{source.name}.{os.getpid()}"
        try:
            if source.is_dir():
                shutil.copytree(source, aside)
            else:
                shutil.copy2(source, aside)
            aside.rename(copy)
        except OSError as error:
            raise LaunchError(f"{error.strerror}.", where=str(folder), mend=mend_of(str(error))) from None

    def fetch(self, source: str, target: Path) -> None:
        """A file or folder below the workspace there, into a folder here."""
        path = self._workspace / source
        try:
            shutil.copytree(path, target / path.name) if path.is_dir() else shutil.copy2(path, target)
        except OSError as error:
            raise LaunchError(f"{error.strerror}.", where=str(path)) from None

    def code(self, workspace: str) -> str:
        """The folder that Python finds this version's code in."""
        return str(Path(engine.__file__).parent.parent)

    def close(self) -> None:
        """There is nothing to let go."""
