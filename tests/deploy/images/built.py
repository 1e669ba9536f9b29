"""The images that were built: who they run as, what is in them and what is not, and how long they take to start.

`make images` runs it on what it built, some minutes; start-up times go into the table that it shows.
"""

import json
import os
import re
import shutil
import subprocess
import time
import tomllib
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from sapphire.deployment.images.catalogue import catalogue
from sapphire.deployment.images.podman import Podman
from sapphire.deployment.images.table import note, rows
from sapphire.domain.workspace import home
from sapphire.registry import Deployment

ROOT = Path(__file__).parents[3]
TAG = os.environ.get("TAG") or "dev"
CHOSEN = catalogue(tuple(os.environ.get("IMAGES", "").split()))
NAMES = [image.name for image in CHOSEN]
FOLDER = home() / "images"
TMP = "/tmp:rw,mode=1777"
STATE = "/var/lib/sapphire:rw,U"
SHELLS = {"valkey": {"sh", "dash"}, "postgresql": {"sh", "dash"}, "lab": {"sh", "dash", "bash", "rbash"}}
TOOLS = {"apt", "apt-get", "dpkg", "perl", "gcc", "cc", "ld", "make", "pip", "pip3", "uv", "curl", "wget", "cargo"}
INDEXES = ("deb.debian.org", "pypi.org", "files.pythonhosted.org", "index.crates.io", "static.crates.io")
PASSWORDS = {"postgres": "one", "mlflow": "two", "sapphire": 'it\'s "three"'}

every_image = pytest.mark.parametrize("name", NAMES)


def only(*wanted):
    """For images that were built this time."""
    return pytest.mark.parametrize("name", [name for name in wanted if name in NAMES])


@pytest.fixture(scope="module")
def podman():
    return Podman(FOLDER)


@pytest.fixture(scope="module")
def facts(podman):
    """What podman knows about an image."""
    return lambda name: podman.inspect(f"localhost/sapphire/{name}:{TAG}")


@pytest.fixture(scope="module")
def files(podman):
    """The files of an image."""
    mounted = []

    def mount(name):
        tag = f"localhost/sapphire/{name}:{TAG}"
        mounted.append(tag)
        return Path(podman.run("image", "mount", tag).strip())

    yield mount
    for tag in mounted:
        podman.run("image", "unmount", tag)


@pytest.fixture
def running(podman):
    """Starts an image as a pod would: read-only root, no capabilities, no new privileges, its own user."""
    started = []

    @contextmanager
    def run(name, *words, options=(), network="none"):
        hard = ["--read-only", "--cap-drop", "all", "--security-opt", "no-new-privileges", "--network", network]
        made = ["run", "--detach", *hard, "--tmpfs", TMP, *options, f"localhost/sapphire/{name}:{TAG}", *words]
        container = podman.run(*made).strip()
        started.append(container)
        yield container
        podman.run("rm", "--force", "--time", "5", container)
        started.remove(container)

    yield run
    for container in started:
        podman.run("rm", "--force", "--time", "0", container)


def logs(podman, container):
    done = subprocess.run(["podman", "logs", container], env=podman.environment, capture_output=True, check=False)
    return (done.stdout + done.stderr).decode(errors="replace")


def ended(podman, container):
    state = json.loads(podman.run("container", "inspect", container))[0]["State"]
    return None if state["Running"] else int(state["ExitCode"])


def wait_for(podman, container, is_there, *, within_s=240.0):
    """Seconds until it is there."""
    began = time.monotonic()
    while not is_there():
        code = ended(podman, container)
        assert code in (None, 0), f"exit code {code}: {logs(podman, container)[-3000:]}"
        assert time.monotonic() - began < within_s, logs(podman, container)[-3000:]
        time.sleep(0.1)
    return time.monotonic() - began


def keep(name, seconds, started):
    for row in rows(FOLDER / "rows"):
        if row.name == name:
            note(FOLDER / "rows", replace(row, start_s=round(seconds, 2), started=started))


def until_said(podman, container, name, text, started):
    keep(name, wait_for(podman, container, lambda: text in logs(podman, container)), started)


def require_its_user(podman, container):
    pid = json.loads(podman.run("container", "inspect", container))[0]["State"]["Pid"]
    status = dict(
        line.split(":\t", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines() if ":\t" in line
    )
    assert status["Uid"].split() == ["10001"] * 4
    assert status["Gid"].split() == ["10001"] * 4
    assert (status["CapEff"], status["NoNewPrivs"]) == ("0" * 16, "1")


@every_image
def test_who_it_is_and_what_it_says_of_itself(facts, name):
    about = facts(name)
    assert about["User"] == "10001:10001"
    labels = about["Labels"]
    assert labels["org.opencontainers.image.title"].startswith("sapphire/")
    assert labels["org.opencontainers.image.version"] == "0.1.0"
    assert re.match(r"[0-9a-f]{40}", labels["org.opencontainers.image.revision"])
    image = next(image for image in CHOSEN if image.name == name)
    if image.below_mb is not None:
        assert about["Size"] < image.below_mb * 1e6


@every_image
def test_no_address_of_an_index_is_in_it(facts, files, name):
    about, root = facts(name), files(name)
    assert "://" not in json.dumps([about["Config"].get("Env"), about["Labels"], about["History"]])
    for config in ("etc/pip.conf", "etc/apt", "root/.config", "home/sapphire/.config", "root/.cargo", "etc/uv"):
        assert not (root / config).exists(), config
    told_by = [
        *root.glob("etc/**/*"),
        *root.glob("opt/sapphire/**/direct_url.json"),
        *root.glob("opt/bentos/**/env/**/*"),
    ]
    for file in told_by:
        if file.is_file() and not file.is_symlink():
            text = file.read_bytes().decode(errors="replace")
            assert not [each for each in INDEXES if each in text], file
    trusted = root / "etc/ssl/certs/ca-certificates.crt"
    if trusted.exists():
        own = b"".join(file.read_bytes() for file in sorted(root.glob("usr/share/ca-certificates/mozilla/*.crt")))
        assert trusted.read_bytes() == own, "whom the machine that built it trusts is not trusted in it"


@every_image
def test_there_are_no_tools_in_it_that_it_does_not_need(files, name):
    root = files(name)
    there = {file.name for folder in ("usr/bin", "usr/sbin", "opt/sapphire/bin") for file in root.glob(f"{folder}/*")}
    assert not there & (TOOLS - ({"perl"} if name == "lab" else set()))
    assert there & {"sh", "dash", "bash", "rbash", "zsh"} == SHELLS.get(name, set()) - ({"sh"} - there)
    writable = [
        path for path in root.rglob("*") if path.is_file() and not path.is_symlink() and path.stat().st_mode & 0o6002
    ]
    assert writable == [], "nothing is everybody's to write, or runs as its owner"


@every_image
def test_its_bill_of_materials_is_cyclonedx_and_lists_what_is_in_it(files, name):
    from cyclonedx.schema import SchemaVersion
    from cyclonedx.validation.json import JsonStrictValidator

    text = (FOLDER / "boms" / f"{name}.cdx.json").read_text()
    assert JsonStrictValidator(SchemaVersion.V1_6).validate_str(text) is None
    parts = {part["purl"].split("@")[0] for part in json.loads(text)["components"]}
    assert "pkg:deb/debian/libc6" in parts
    expected = {
        "engine": {"pkg:cargo/sapphire-service", "pkg:cargo/sapphire-exchange", "pkg:cargo/tokio"},
        "platform": {"pkg:pypi/sapphire", "pkg:pypi/pandas", "pkg:cargo/sapphire-engine", "pkg:cargo/pyo3"},
        "mlflow": {"pkg:pypi/mlflow", "pkg:pypi/psycopg"},
        "lab": {"pkg:pypi/jupyterlab", "pkg:pypi/torch", "pkg:pypi/vectorbt", "pkg:deb/debian/git"},
        "postgresql": {"pkg:deb/debian/postgresql-15"},
        "prometheus": {"pkg:deb/debian/prometheus"},
        "valkey": {"pkg:deb/debian/redis-tools"},
        "runner-cpu": {"pkg:pypi/bentoml", "pkg:pypi/scipy"},
        "runner-cpu-torch": {"pkg:pypi/bentoml", "pkg:pypi/torch"},
    }
    assert expected[name] <= parts


@only("platform", "runner-cpu", "mlflow")
def test_there_is_no_torch_in_it(files, name):
    names = {path.name.split("-")[0] for path in files(name).glob("opt/sapphire/lib/python3.11/site-packages/*")}
    assert "sapphire" in names or name == "runner-cpu"
    assert not {"torch", "triton", "nvidia", "vectorbt", "jupyterlab"} & names
    assert ("mlflow" in names) == (name == "mlflow")


@only("platform", "mlflow", "lab")
def test_the_package_in_it_is_whole(files, name):
    patterns = tomllib.loads((ROOT / "pyproject.toml").read_text())["tool"]["setuptools"]["package-data"]["sapphire"]
    there = files(name) / "opt/sapphire/lib/python3.11/site-packages"
    kept = [path for pattern in patterns for path in (ROOT / "sapphire").glob(pattern) if path.is_file()]
    wanted = {path.relative_to(ROOT) for path in kept if "__pycache__" not in path.parts}
    assert {path for path in wanted if not (there / path).is_file()} == set()


@only("engine")
def test_the_engine_starts(podman, running, name):
    words = [
        "/usr/bin/exchange",
        "--start",
        "2025-03-07T00:00:00Z",
        "--speed",
        "60",
        "--journal",
        "/var/lib/sapphire/e",
    ]
    with running(name, *words, options=["--tmpfs", STATE]) as container:
        until_said(podman, container, name, '"url"', "takes orders (the exchange)")
        require_its_user(podman, container)
        assert "service " in podman.run("exec", container, "/usr/bin/service", "--version")


@only("valkey")
def test_the_bus_starts(podman, running, name):
    with running(name, options=["--tmpfs", STATE]) as container:
        until_said(podman, container, name, "Ready to accept connections", "accepts connections")
        require_its_user(podman, container)
        words = ["sh", "-c", "REDISCLI_AUTH=$(cat /etc/hostname) valkey-cli ping | grep -q PONG"]
        assert podman.succeeds("exec", container, *words)
        assert podman.run("exec", container, "valkey-cli", "ping").strip() == "PONG"


@pytest.fixture
def database(podman, running, tmp_path):
    """The options of a database's container, with its passwords in a folder."""
    secrets = tmp_path / "secrets"
    secrets.mkdir()
    (secrets / "postgres-passwords.json").write_text(json.dumps(PASSWORDS))
    shutil.chown(secrets / "postgres-passwords.json", 0, 10001)
    (secrets / "postgres-passwords.json").chmod(0o440)
    data = tmp_path / "data"
    data.mkdir()
    shutil.chown(data, 10001, 10001)
    mounts = ["--volume", f"{secrets}:/var/run/secrets/sapphire:ro", "--volume", f"{data}:/var/lib/sapphire"]
    return [*mounts, "--tmpfs", "/run/postgresql:rw,U"], secrets


def answers(podman, container, user, password, query, base=None):
    words = ["psql", "-h", "127.0.0.1", "-U", user, "-d", base or user, "-Atc", query]
    done = ["podman", "exec", "--env", f"PGPASSWORD={password}", container, *words]
    return subprocess.run(done, env=podman.environment, capture_output=True, text=True, check=False)


@only("postgresql")
def test_the_database_makes_its_data_once_and_takes_the_passwords_at_each_start(podman, running, database, name):
    options, secrets = database
    ready = ("exec", "pg_isready", "--quiet", "--host", "127.0.0.1")
    with running(name, options=options) as container:
        took = wait_for(podman, container, lambda: podman.succeeds(ready[0], container, *ready[1:]))
        keep(name, took, "accepts connections, its data made first")
        require_its_user(podman, container)
        for user in ("mlflow", "sapphire"):
            made = "create table kept as select 7 as seven; select current_user"
            assert user in answers(podman, container, user, PASSWORDS[user], made).stdout
        assert (
            "does not have CONNECT"
            in answers(podman, container, "sapphire", PASSWORDS["sapphire"], "select 1", "mlflow").stderr
        )
        assert "authentication failed" in answers(podman, container, "mlflow", "wrong", "select 1").stderr
        podman.succeeds("exec", container, "pg_ctl", "stop", "--mode", "fast", "--pgdata", "/var/lib/sapphire/data")
        wait_for(podman, container, lambda: ended(podman, container) == 0, within_s=30.0)
        assert "database system is shut down" in logs(podman, container)
    (secrets / "postgres-passwords.json").write_text(json.dumps(PASSWORDS | {"mlflow": "changed"}))
    with running(name, "-c", "max_connections=42", options=options) as container:
        wait_for(podman, container, lambda: podman.succeeds(ready[0], container, *ready[1:]))
        assert answers(podman, container, "mlflow", "changed", "select seven from kept").stdout.strip() == "7"
        assert "authentication failed" in answers(podman, container, "mlflow", "two", "select 1").stderr
        assert answers(podman, container, "mlflow", "changed", "show max_connections").stdout.strip() == "42"
    (secrets / "postgres-passwords.json").unlink()
    with running(name, options=options) as container, pytest.raises(AssertionError, match="no passwords"):
        wait_for(podman, container, lambda: False, within_s=20.0)


@only("prometheus")
def test_prometheus_starts(podman, running, tmp_path, name):
    config = tmp_path / "prometheus.yml"
    config.write_text("global: {scrape_interval: 15s}\n")
    options = ["--tmpfs", STATE, "--volume", f"{config}:/etc/prometheus/prometheus.yml:ro"]
    with running(name, options=options) as container:
        until_said(podman, container, name, "Server is ready to receive web requests", "answers")
        require_its_user(podman, container)


@only("platform")
def test_the_platform_imports_all_its_rooms(podman, running, name):
    program = (ROOT / "tests" / "deploy" / "images" / "import_rooms.txt").read_text()
    with running(name, "-c", program, options=["--tmpfs", STATE, "--entrypoint", "python"]) as container:
        wait_for(podman, container, lambda: ended(podman, container) == 0)
        assert logs(podman, container).strip() == "{}"
    with running(name, "places", "--help", options=["--tmpfs", STATE]) as container:
        keep(name, wait_for(podman, container, lambda: ended(podman, container) == 0), "has shown the help of a verb")
        assert "sapphire places" in logs(podman, container)


@only("mlflow")
def test_mlflow_serves_a_team_on_the_database(podman, running, database, tmp_path, name):
    options, secrets = database
    for file, text in (
        ("mlflow-database.dsn", f"postgresql://mlflow:{PASSWORDS['mlflow']}@127.0.0.1:5432/mlflow"),
        ("mlflow-admin-password", "an administrator's password"),
        ("mlflow-secret-key", "0123456789abcdef0123456789abcdef"),
    ):
        (secrets / file).write_text(text)
        shutil.chown(secrets / file, 10001, 10001)
        (secrets / file).chmod(0o400)
    inside = "/var/run/secrets/sapphire"
    settings = {
        "MLFLOW_BACKEND_STORE_URI_FILE": f"{inside}/mlflow-database.dsn",
        "MLFLOW_AUTH_ADMIN_PASSWORD_FILE": f"{inside}/mlflow-admin-password",
        "MLFLOW_FLASK_SERVER_SECRET_KEY_FILE": f"{inside}/mlflow-secret-key",
    }
    variables = [word for variable, value in settings.items() for word in ("--env", f"{variable}={value}")]
    with running("postgresql", options=options) as base:
        wait_for(podman, base, lambda: podman.succeeds("exec", base, "pg_isready", "--quiet", "--host", "127.0.0.1"))
        mounts = ["--tmpfs", STATE, "--volume", f"{secrets}:{inside}:ro", *variables]
        with running(name, options=mounts, network=f"container:{base}") as container:
            until_said(podman, container, name, "Application startup complete", "answers, its tables made first")
            require_its_user(podman, container)
            ask = "import urllib.request as u; print(u.urlopen('http://127.0.0.1:5000/health').status)"
            assert podman.run("exec", container, "python", "-c", ask).strip() == "200"
            closed = (
                "import urllib.request as u; u.urlopen('http://127.0.0.1:5000/ajax-api/2.0/mlflow/experiments/search')"
            )
            assert not podman.succeeds("exec", container, "python", "-c", closed), "it asks who is there"


@only("lab")
def test_the_lab_starts(podman, running, name):
    with running(name, options=["--tmpfs", "/home/sapphire:rw,U", "--tmpfs", STATE]) as container:
        until_said(podman, container, name, "is running at", "answers")
        require_its_user(podman, container)
        imports = "import torch, vectorbt, mlflow, sapphire_engine, sapphire; print('all there')"
        assert "all there" in podman.run("exec", container, "python", "-c", imports)
        assert "git version" in podman.run("exec", container, "git", "--version")
        assert "exchange" in podman.run("exec", container, "exchange", "--version")


@only("lab")
def test_what_fits_again_by_the_clock_ends_in_a_challenger(podman, running, name):
    """As `retrain:` of the chart runs it; of its market a year suffices."""
    short = {"start": "2024-01-01", "train": "90d", "test": "90d", "holdout": "90d", "end": "2025-01-01"}
    words = " ".join(f"--set {key}={value}" for key, value in short.items())
    program = f"sapphire run notebooks/study.ipynb {words} && sapphire releases"
    options = ["--tmpfs", "/home/sapphire:rw,U", "--env", "SAPPHIRE_HOME=/home/sapphire/.sapphire"]
    options += ["--workdir", "/opt/desk", "--entrypoint", "sh"]
    with running(name, "-c", program, options=options) as container:
        wait_for(podman, container, lambda: ended(podman, container) == 0, within_s=900.0)
        listed = logs(podman, container)
    assert "momentum@1" in listed
    assert "challenger" in listed
    assert "champion" not in listed


@only("runner-cpu", "runner-cpu-torch")
def test_a_runner_serves_a_release_by_its_digest(podman, running, restless, tmp_path, name):
    state, digest = restless
    folder = tmp_path / "state"
    folder.mkdir()
    for part in ("releases", "evidence"):
        if (state / part).exists():
            shutil.copytree(state / part, folder / part)
    subprocess.run(["chown", "-R", "10001:10001", str(folder)], check=True)
    trusted = Deployment.read().variables
    key = Path(trusted["SAPPHIRE_TRUSTED_KEY"])
    settings = trusted | {"SAPPHIRE_TRUSTED_KEY": "/etc/sapphire/promoter.pub", "SAPPHIRE_RELEASE": digest}
    variables = [word for variable, value in settings.items() if value for word in ("--env", f"{variable}={value}")]
    public = tmp_path / "promoter.pub"
    shutil.copy(key, public)
    public.chmod(0o644)
    mounts = ["--volume", f"{folder}:/var/lib/sapphire", "--volume", f"{public}:/etc/sapphire/promoter.pub:ro"]
    ask = "import httpx; a = httpx.request('{1}', 'http://127.0.0.1:3000/{0}'); a.raise_for_status(); print(a.text)"
    with running(name, options=[*mounts, *variables]) as container:
        ready = ("exec", container, "python", "-c", ask.format("readyz", "GET"))
        keep(name, wait_for(podman, container, lambda: podman.succeeds(*ready)), "is ready: golden views match")
        require_its_user(podman, container)
        card = json.loads(podman.run("exec", container, "python", "-c", ask.format("card", "POST")))
        assert (card["release"], card["standing"]) == (digest, "ready")
        assert card["isolation"] == "enforced", "Landlock and seccomp hold in a container without capabilities"
        metrics = podman.run("exec", container, "python", "-c", ask.format("metrics", "GET"))
        assert digest in metrics
    other = [*mounts, *variables, "--env", f"SAPPHIRE_RELEASE={digest[::-1]}"]
    with running(name, options=other) as container, pytest.raises(AssertionError, match="exit code"):
        wait_for(podman, container, lambda: False, within_s=120.0)


def test_the_bento_of_vllm_is_built_with_its_lock(tmp_path):
    environment = os.environ | {"BENTOML_HOME": str(tmp_path), "BENTOML_DO_NOT_TRACK": "True"}
    words = ["-m", "bentoml", "build", "-f", "bentos/vllm/bentofile.yaml", "--version", "built", "."]
    subprocess.run([str(ROOT / ".venv/bin/python"), *words], cwd=ROOT, env=environment, capture_output=True, check=True)
    built = tmp_path / "bentos" / "vllm" / "built"
    pin = r"(?m)^([a-z0-9._-]+)==([^\s;\\]+)"
    lock = (ROOT / "bentos" / "vllm" / "requirements.lock").read_text()
    requirements = (built / "env/python/requirements.txt").read_text()
    assert dict(re.findall(pin, requirements)) == dict(re.findall(pin, lock))
    assert "://" not in requirements
    assert (built / "src/bentos/vllm/service.py").is_file()
    assert (built / "src/sapphire/serving/vllm_server.py").is_file()
