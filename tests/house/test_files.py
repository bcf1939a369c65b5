"""Rules for every file of the repository: length, names, first lines, and nothing of the machine it was written on."""

import ast
import re
import subprocess
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
LONGEST_FILE = 500
FORBIDDEN_NAMES = {"utils", "util", "helpers", "helper", "common", "base", "manager"}
PYTHON_FOLDERS = ("graph_runtime", "nodes", "connectors", "voice", "builder_ui", "migrations", "tests")
GENERATED = ("requirements.lock", "requirements-offline-voice.lock", "requirements-uv.txt", "reflex.lock/")

# Pieces, so that this file does not hold what it looks for.
MACHINE_PATHS = re.compile(
    r"(?<![\w./-])/(?:" + "|".join(["wor" + "k/", "roo" + "t/", "home/" + r"\w", "Users/" + r"\w"]) + ")"
)
REGISTRIES = re.compile(
    "|".join(["pypi" + r"\.org", "files.python" + "hosted", "registry.npm" + "js", "npm" + "mirror"])
)


def tracked() -> list[str]:
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard"],
        cwd=REPOSITORY,
        capture_output=True,
        text=True,
        check=True,
    ).stdout.splitlines()
    return [name for name in listed if (REPOSITORY / name).is_file()]


def text_of(name: str) -> str:
    try:
        return (REPOSITORY / name).read_text()
    except UnicodeDecodeError:
        return ""


def modules() -> list[str]:
    return [name for name in tracked() if name.endswith(".py") and name.startswith(PYTHON_FOLDERS)]


def test_no_file_is_longer_than_the_limit() -> None:
    sources = [name for name in tracked() if name.endswith((".py", ".jsx", ".tsx", ".ts", ".js", ".css"))]
    long = {name: lines for name in sources if (lines := text_of(name).count("\n")) > LONGEST_FILE}
    assert long == {}


def test_no_module_has_a_name_that_says_nothing() -> None:
    assert [name for name in modules() if FORBIDDEN_NAMES & {*Path(name).with_suffix("").parts}] == []


def test_every_module_begins_with_a_sentence() -> None:
    silent = [name for name in modules() if not (ast.get_docstring(ast.parse(text_of(name))) or "").strip()]
    assert silent == []


@pytest.mark.parametrize(("what", "pattern"), [("a path of one machine", MACHINE_PATHS), ("a registry", REGISTRIES)])
def test_no_file_names(what: str, pattern: re.Pattern[str]) -> None:
    found = [name for name in tracked() if not name.startswith(GENERATED[3:]) and pattern.search(text_of(name))]
    assert found == [], f"names {what}"


@pytest.mark.parametrize(("lock", "least"), [("requirements.lock", 50), ("requirements-offline-voice.lock", 2)])
def test_the_lock_has_hashes_and_no_address(lock: str, least: int) -> None:
    text = (REPOSITORY / lock).read_text()
    assert "://" not in text
    assert "--index-url" not in text
    assert "--find-links" not in text
    packages = re.split(r"\n(?=[A-Za-z0-9])", "\n" + text)[1:]
    assert len(packages) >= least
    assert [package.splitlines()[0] for package in packages if "--hash=sha256:" not in package] == []


def test_the_lock_of_the_screens_has_no_address() -> None:
    for lock in (REPOSITORY / "reflex.lock").glob("*.json"):
        assert "resolved" not in lock.read_text()


def test_only_the_fixed_names_stand_at_the_top() -> None:
    allowed = {
        *("pyproject.toml", "rxconfig.py", "builder_ui", "graph_runtime", "nodes", "connectors", "voice", "asterisk"),
        *("templates", "migrations", "tests", "docs", "docker-compose.yml", "README.md", "LICENSE", "CHANGELOG.md"),
        *("CONTRIBUTING.md", "requirements.lock", "requirements-uv.txt", "patchcord", ".ci", ".gitignore"),
        "requirements-offline-voice.lock",
        *(".dockerignore", "Dockerfile", "reflex.lock", "assets", "SECURITY.md"),
    }
    assert {name.split("/")[0] for name in tracked()} - allowed == set()


def test_every_decision_has_a_number_of_its_own() -> None:
    decisions = sorted(path.name for path in (REPOSITORY / "docs" / "decisions").glob("*.md"))
    assert decisions
    assert all(re.fullmatch(r"\d{4}-[a-z0-9-]+\.md", name) for name in decisions), decisions
    assert len({name[:4] for name in decisions}) == len(decisions)


def test_every_decision_says_what_was_decided_and_what_follows() -> None:
    for path in (REPOSITORY / "docs" / "decisions").glob("*.md"):
        text = path.read_text()
        assert text.startswith(f"# {int(path.name[:4])}. "), path.name
        assert "\n## Decision\n" in text, path.name
        assert "\n## Consequences\n" in text, path.name


def broken_links(name: str) -> list[str]:
    targets = re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", text_of(name))
    inside = [target for target in targets if "://" not in target and not target.startswith("mailto:")]
    return [target for target in inside if not (REPOSITORY / name).parent.joinpath(target).exists()]


def test_links_between_documents_lead_somewhere() -> None:
    broken = {name: links for name in tracked() if name.endswith(".md") and (links := broken_links(name))}
    assert broken == {}


def test_every_document_can_be_found_from_the_index() -> None:
    docs = REPOSITORY / "docs"
    index = (docs / "index.md").read_text()
    pages = [path.relative_to(docs).as_posix() for path in docs.rglob("*.md") if "changes" not in path.parts]
    assert [page for page in pages if page != "index.md" and f"]({page})" not in index] == []
