"""The way to a host: the system's own `ssh`, which alone follows all of a user's configuration, over one connection
kept open. Each request is one command there; its answer is JSON, and nothing that comes back is run or unpickled."""

from __future__ import annotations

import contextlib
import hashlib
import io
import os
import secrets
import shlex
import stat
import subprocess
import tarfile
import tempfile
from functools import lru_cache
from pathlib import Path

import orjson

import engine
from engine.control.transport.base import (
    LOGIN_LIMIT_S,
    REQUEST_LIMIT_S,
    A,
    Acknowledged,
    UnreachableError,
    answer_in,
    mend_of,
)
from engine.control.transport.packing import packed
from engine.errors import LaunchError
from engine.records.hosts import Host

CONNECT_S = 5
_COPY_LIMIT_S = 3600.0
_LARGEST_ANSWER_BYTES = 64 * 2**20
_LONGEST_SOCKET_FOLDER = 107 - 1 - 40 - 17  # a slash, ssh's name for the connection, and what it adds for a moment
_OPTIONS = (
    "BatchMode=yes", f"ConnectTimeout={CONNECT_S}", "ServerAliveInterval=3", "ServerAliveCountMax=2",
    "ControlMaster=auto", "ControlPersist=60", "ForwardAgent=no", "ForwardX11=no", "ClearAllForwardings=yes",
    "PermitLocalCommand=no", "RequestTTY=no", "LogLevel=ERROR",
)  # fmt: skip
# What ssh says, and how it is mended. The first that fits.
_FAULTS = (
    ("Host key verification failed", "the host's key is not known, or not the one that was known",
     "Log in by hand once and compare the key: ssh {target}"),
    ("REMOTE HOST IDENTIFICATION HAS CHANGED", "the host's key is not the one that was known",
     "Ask who runs the host; then ssh-keygen -R, and log in by hand once."),
    ("Permission denied", "it does not let us in without a password",
     "Put your key there: ssh-copy-id {target}; where it has a passphrase, start an ssh-agent."),
    ("Could not resolve hostname", "there is no machine of this name", "Look at hosts.toml and ~/.ssh/config."),
    ("Connection refused", "it refuses the connection", "Is sshd running there, on that port?"),
    ("timed out", "it does not answer", "Is it up, and can it be reached from here?"),
    ("No route to host", "it cannot be reached", "Is it up, and the network in between?"),
    ("Network is unreachable", "it cannot be reached", "Is the network up here?"),
)  # fmt: skip


class Ssh:
    """Requests to one host's agent. Not for several threads at once."""

    def __init__(self, host: Host) -> None:
        assert host.ssh is not None
        self.host = host
        self._code: str | None = None
        """Where the code of this version lies there, once it does."""

    def ask(self, verb: str, kind: type[A], *, limit_s: float = REQUEST_LIMIT_S, **details: object) -> A:
        """The agent's answer. UnreachableError where none came; LaunchError says what else is wrong, and the mend."""
        first = self._code is None
        if first:
            self._install()
        nonce = secrets.token_hex(8)
        python = f"{_quoted(self.host.python)} {self._code}/engine/control/onhost/agent.py"
        script = f"{self._prelude()}exec {python} {_quoted(self.host.workspace)} {nonce}"
        content = orjson.dumps({"do": verb, **details})
        try:
            out, error, code = self._run(script, content, LOGIN_LIMIT_S if first else limit_s)
        except UnreachableError:
            self._code = None  # the next request has to log in again
            raise
        answer = answer_in(out, nonce, self.host, kind)
        if answer is None:
            self._code = None
            raise self._fault(code, error or out)
        return answer

    def send(self, source: Path, target: str) -> None:
        """A file by rsync, which goes on where it was cut off. `target` is below the workspace there."""
        self.ask("put", Acknowledged, files={f"{target}.made": packed(b"")})
        self._copy(str(source), self._remote(target))

    def fetch(self, source: str, target: Path) -> None:
        """A file or folder below the workspace there, into a folder here."""
        self._copy(self._remote(source), f"{target}/")

    def _remote(self, path: str) -> str:
        return f"{self.host.ssh}:{_home_relative(self.host.workspace)}/{path}"

    def _copy(self, source: str, target: str) -> None:
        shell = shlex.join(self._argv()[:-1])  # rsync names the machine itself
        argv = ["rsync", "--archive", "--copy-links", "--partial", "--inplace", "--protect-args", "-e", shell]
        try:
            done = subprocess.run(
                [*argv, "--", source, target], stdin=subprocess.DEVNULL, capture_output=True, timeout=_COPY_LIMIT_S,
                check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired) as error:
            raise UnreachableError(f"rsync: {error}.", where=self.host.name, value=source) from None
        if done.returncode:
            raise self._fault(done.returncode, done.stderr)

    def close(self) -> None:
        """Let the connection go, once nobody else uses it."""
        with contextlib.suppress(OSError, subprocess.TimeoutExpired, LaunchError):
            subprocess.run(
                [*self._argv()[:-1], "-O", "stop", str(self.host.ssh)],
                stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=5, check=False,
            )  # fmt: skip

    def code(self, workspace: str) -> str:
        """The folder there that Python finds this version's code in."""
        return f"{workspace}/code/{_archive()[1]}"

    def _install(self) -> None:
        """Put this version's code there, unless it is there: below a name made of its content, whole or not at all."""
        archive, name = _archive()
        folder = f"{_quoted(self.host.workspace)}/code"
        there = f"{folder}/{name}"
        script = (
            f"if [ -d {there} ]; then echo there; else umask 077; mkdir -p {folder} && "
            f'new=$(mktemp -d {folder}/.new.XXXXXX) && tar -xf - -C "$new" && '
            f'{{ mv "$new" {there} 2>/dev/null || rm -rf "$new"; }}; [ -d {there} ] && echo there; fi'
        )
        out, error, code = self._run(script, archive, LOGIN_LIMIT_S)
        if not out.rstrip().endswith(b"there"):
            raise self._fault(code, error or out)
        self._code = there

    def _run(self, script: str, content: bytes, limit_s: float) -> tuple[bytes, bytes, int]:
        """Standard output, standard error and exit code of a POSIX shell script there, whatever the login shell is."""
        argv = [*self._argv(), f"sh -c {shlex.quote(script)}"]
        # Not pipes: the connection that is kept would hold one open, and an answer may be of any length.
        with tempfile.TemporaryFile() as answers, tempfile.TemporaryFile() as errors:
            try:
                done = subprocess.run(argv, input=content, stdout=answers, stderr=errors, timeout=limit_s, check=False)
            except subprocess.TimeoutExpired:
                raise UnreachableError(
                    f"no answer within {limit_s:.0f} s.", where=self.host.name, mend=f"Try ssh {self.host.ssh} by hand."
                ) from None
            except OSError as error:
                raise LaunchError(f"ssh cannot be run: {error.strerror}.", mend="Install OpenSSH's client.") from None
            if answers.tell() > _LARGEST_ANSWER_BYTES:
                raise LaunchError(f"an answer of {answers.tell():,} bytes is none of ours.", where=self.host.name)
            answers.seek(0)
            errors.seek(0)
            return answers.read(), errors.read(_LARGEST_ANSWER_BYTES), done.returncode

    def _argv(self) -> list[str]:
        options = [part for option in (*_OPTIONS, f"ControlPath={_socket_folder()}/%C") for part in ("-o", option)]
        return ["ssh", *options, str(self.host.ssh)]  # never begins with "-": hosts.toml is held to that

    def _prelude(self) -> str:
        """The host's own set-up; what that prints is not taken for an answer."""
        return f"{{ {self.host.setup}\n}} >&2\n" if self.host.setup.strip() else ""

    def _fault(self, code: int, said: bytes) -> LaunchError:
        words = " ".join(said.decode(errors="replace").split())
        target = self.host.ssh
        for sign, what, mend in _FAULTS:
            if sign in words:
                return UnreachableError(f"{what}.", where=self.host.name, mend=mend.format(target=target))
        if code == 255:
            return UnreachableError(f"no connection: {words or 'it was cut'}.", where=self.host.name)
        mend = mend_of(words)
        if code == 127 or "not found" in words:
            mend = "Set `python` or `setup` of this host in hosts.toml."
        return LaunchError(f"{words[-300:] or f'exit code {code}'}.", where=self.host.name, mend=mend)


def _quoted(path: str) -> str:
    """A path there as a shell word; `~/` is the home there."""
    return f"~/{shlex.quote(path[2:])}" if path.startswith("~/") else shlex.quote(path)


def _home_relative(path: str) -> str:
    """The same for rsync, where a relative path starts from the home there."""
    return path[2:] if path.startswith("~/") else path


def _socket_folder() -> Path:
    """Where the sockets of open connections lie: a short path, for sockets have no longer ones, and this user's
    alone."""
    name = f"kitui-ssh-{os.getuid()}"
    folder = Path(os.environ.get("XDG_RUNTIME_DIR") or tempfile.gettempdir()) / name
    if len(str(folder)) > _LONGEST_SOCKET_FOLDER:
        folder = Path("/tmp") / name
    folder.mkdir(mode=0o700, exist_ok=True)
    status = folder.lstat()
    if not stat.S_ISDIR(status.st_mode) or status.st_uid != os.getuid() or status.st_mode & 0o077:
        raise LaunchError("this folder is not this user's alone.", where=str(folder), mend="Remove it.")
    return folder


@lru_cache(maxsize=1)
def _archive() -> tuple[bytes, str]:
    """The engine's code as a tar file, and a name for its content."""
    root = Path(engine.__file__).parent
    files = sorted(p for p in root.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
    digest, buffer = hashlib.sha256(), io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for path in files:
            content = path.read_bytes()
            info = tarfile.TarInfo(f"engine/{path.relative_to(root)}")
            info.size, info.mode = len(content), 0o600
            digest.update(info.name.encode() + b"\0" + content + b"\0")
            archive.addfile(info, io.BytesIO(content))
    return buffer.getvalue(), digest.hexdigest()[:12]
