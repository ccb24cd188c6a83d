"""Installed packages are pinned and checked by hash. Containers do not run as root and have no known password."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest
import yaml
from packaging.requirements import Requirement

ROOT = Path(__file__).parent.parent
EXTRAS = {"multilingual": "requirements-multilingual.txt", "telemetry": "requirements-telemetry.txt"}
LOCKED_FOR_TESTS = ("requirements.txt", "requirements-dev.txt")
LOCKED = (*LOCKED_FOR_TESTS, "requirements-audit.txt", *EXTRAS.values())
COMPOSE = ("compose.yaml", "compose.scale.yaml")
NOT_HASHED = {"torch"}


def text_of(name: str) -> str:
    return (ROOT / name).read_text("utf-8")


def canonical(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def pins(name: str) -> dict[str, str]:
    """Package to version, from the lines `name==version`."""
    return {
        canonical(package): version
        for package, version in re.findall(r"^([\w.-]+)==([^\s;]+)", text_of(name), re.MULTILINE)
    }


def packages(requirements: list[str]) -> set[str]:
    return {canonical(re.split(r"[\[<>=~ ]", requirement)[0]) for requirement in requirements}


def entries(name: str) -> list[str]:
    """The requirements of the file, each with its hashes on one line."""
    lines = text_of(name).replace("\\\n", " ").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def applies(requirement: Requirement) -> bool:
    """Whether Python 3.11 on Linux needs it."""
    ci = {"python_full_version": "3.11.14", "python_version": "3.11", "sys_platform": "linux", "os_name": "posix"}
    return requirement.marker is None or requirement.marker.evaluate(ci)


@pytest.mark.parametrize("name", LOCKED)
def test_every_locked_package_has_a_version_and_hashes(name: str) -> None:
    assert [entry for entry in entries(name) if not re.match(r"[\w.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry)] == []


def test_the_locked_versions_are_the_tested_ones() -> None:
    """Those for Python 3.11 on Linux, as CI installs them. `pip freeze` never names setuptools."""
    lines = [line.partition(" --hash")[0] for name in LOCKED_FOR_TESTS for line in entries(name)]
    locked = [requirement for requirement in map(Requirement, lines) if applies(requirement)]
    different = {
        requirement.name: str(requirement.specifier)
        for requirement in locked
        if str(requirement.specifier) != f"=={pins('constraints.txt').get(canonical(requirement.name))}"
    }
    assert different.keys() == {"setuptools"}


def test_everything_that_the_project_names_is_locked_except_torch() -> None:
    project = tomllib.loads(text_of("pyproject.toml"))["project"]
    assert packages(project["dependencies"]) - pins("requirements.txt").keys() == NOT_HASHED
    wanted_by_developers = packages(project["optional-dependencies"]["dev"] + project["optional-dependencies"]["bench"])
    assert wanted_by_developers - pins("requirements.txt").keys() - pins("requirements-dev.txt").keys() == set()
    for extra, file in EXTRAS.items():
        wanted_by_extra = packages(project["optional-dependencies"][extra])
        assert wanted_by_extra - pins("requirements.txt").keys() - pins(file).keys() == set()
    assert "torch" in pins("constraints.txt")


@pytest.mark.parametrize("name", ["Makefile", "Dockerfile"])
def test_nothing_but_torch_and_the_lock_tool_is_installed_without_a_hash(name: str) -> None:
    installs = re.findall(r"(?:\$\(PIP\)|bin/pip) install (.+)", text_of(name))
    unchecked = [line for line in installs if "--require-hashes --no-deps -r requirements" not in line]
    own_code = "--no-deps --no-build-isolation -e ."
    assert [line for line in unchecked if not line.startswith((own_code, "-c constraints.txt"))] == []
    pinned = [line.removeprefix("-c constraints.txt ") for line in unchecked if line.startswith("-c constraints.txt")]
    assert [line for line in pinned if "torch==" not in line and line != "uv"] == []
    assert len(installs) > len(unchecked)


def test_updates_are_offered_for_every_folder_with_locked_npm_packages() -> None:
    updates = yaml.safe_load(text_of(".github/dependabot.yml"))["updates"]
    watched = {update["directory"] for update in updates if update["package-ecosystem"] == "npm"}
    assert watched == {f"/tests/{lock.parent.name}" for lock in ROOT.glob("tests/*/package-lock.json")}


def test_clean_deletes_the_npm_packages_too() -> None:
    planned = subprocess.run(
        ["make", "-n", "-C", str(ROOT), "clean"], check=True, capture_output=True, text=True
    ).stdout
    assert "tests/*/node_modules" in planned.split()


def test_an_installation_that_was_interrupted_at_its_start_begins_again(tmp_path: Path) -> None:
    """An interrupted `venv` leaves the files of pip without its program, which nothing adds later."""
    folder = tmp_path / "venv"
    made = ["make", "-C", str(ROOT), f"VENV={folder}", f"PYTHON={sys.executable}", f"{folder}/bin/python"]
    subprocess.run([sys.executable, "-m", "venv", folder], check=True)
    for program in ("python", "pip"):
        (folder / "bin" / program).unlink()
    subprocess.run(made, check=True, capture_output=True)
    assert (folder / "bin" / "pip").exists()


def test_the_container_runs_without_root_and_reports_its_health() -> None:
    final = text_of("Dockerfile").rpartition("\nFROM ")[2]
    user = re.findall(r"^USER (\S+)", final, re.MULTILINE)
    assert user
    assert user[-1] not in ("root", "0")
    assert final.index("\nUSER ") < final.index("\nENTRYPOINT ")
    assert "\nHEALTHCHECK " in final


def test_the_build_of_the_image_gets_every_file_that_it_copies() -> None:
    """`.dockerignore` excludes everything that it does not name."""
    excluded, *lines = text_of(".dockerignore").splitlines()
    assert excluded == "*"
    sent = {line.removeprefix("!") for line in lines if line.startswith("!")}
    copied = re.findall(r"^COPY (?!--from)(.+) \S+$", text_of("Dockerfile"), re.MULTILINE)
    sources = {source for line in copied for source in line.split() if source != "."}
    assert sources >= {"requirements.txt", "server/__init__.py"}
    assert {source for source in sources if not sent & {source, source.partition("/")[0]}} == set()


@pytest.mark.parametrize("name", COMPOSE)
def test_compose_builds_with_the_arguments_of_the_image(name: str) -> None:
    """With a value from the environment or `.env`, or else with the default: an upgrade builds with the same again."""
    arguments = dict.fromkeys(re.findall(r"^ARG (\w+)", text_of("Dockerfile"), re.MULTILINE))
    services = yaml.safe_load(text_of(name))["services"].values()
    builds = [service["build"] for service in services if "build" in service]
    assert [set(build["args"]) for build in builds] == [arguments.keys()]


def test_the_server_can_read_the_code_of_an_image_that_was_built_from_private_files() -> None:
    """COPY keeps the permissions of the clone, which are 0600 where the umask is 077."""
    final = text_of("Dockerfile").rpartition("\nFROM ")[2]
    assert "\nCOPY . .\n" in final.partition("\nRUN chmod a+rx . && chmod -R a+rX -- * ")[0]


@pytest.mark.parametrize("name", COMPOSE)
def test_no_secret_has_a_default(name: str) -> None:
    defaults = re.findall(r"\$\{(\w*(?:PASSWORD|SECRET|TOKEN|KEY)\w*)(:?[-?])([^}]*)\}", text_of(name))
    assert [variable for variable, kind, value in defaults if "-" in kind and value] == []
    passwords = {variable: kind for variable, kind, _ in defaults if "PASSWORD" in variable}
    assert set(passwords.values()) <= {":?"}


def test_the_default_compose_file_asks_for_no_variable() -> None:
    """Compose asks for the variables of all services of a file, also of those that do not start."""
    assert ":?" not in text_of("compose.yaml")
    assert "POSTGRES_PASSWORD:?" in text_of("compose.scale.yaml")


@pytest.mark.parametrize("name", COMPOSE)
def test_a_server_has_more_time_to_stop_than_its_requests_have(name: str) -> None:
    assert "stop_grace_period: 30s" in text_of(name)


def test_the_scaled_server_trusts_its_proxy_and_is_published_on_loopback_alone() -> None:
    text = text_of("compose.scale.yaml")
    (trusted,) = re.findall(r"TRUSTED_PROXIES: \$\{TRUSTED_PROXIES:-([\d.]+)\}", text)
    assert f"gateway: {trusted}}}" in text
    published = [port for name in COMPOSE for port in re.findall(r"ports: \[\"(.+?)\"\]", text_of(name))]
    assert published
    assert [port for port in published if not port.startswith("127.0.0.1:")] == []
