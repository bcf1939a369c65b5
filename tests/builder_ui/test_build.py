"""The build of the screens: only when needed, complete or not at all, and free of the address it was built at."""

import gzip
from pathlib import Path

import pytest

from builder_ui import build


@pytest.fixture
def source(tmp_path: Path) -> Path:
    folder = tmp_path / "source"
    (folder / "builder_ui" / "canvas").mkdir(parents=True)
    (folder / "builder_ui" / "app.py").write_text("app = 1\n")
    (folder / "builder_ui" / "canvas" / "canvas.jsx").write_text("export const a = 1\n")
    (folder / "rxconfig.py").write_text("config = 1\n")
    return folder


@pytest.fixture
def client(tmp_path: Path) -> Path:
    assets = tmp_path / "client" / "assets"
    assets.mkdir(parents=True)
    text = "var e={PING:`http://localhost:8000/ping`,EVENT:`ws://localhost:8000/_event`,TRANSPORT:`websocket`};"
    (assets / "reflex-env-abc.js").write_text(text)
    (assets / "reflex-env-abc.js.gz").write_bytes(gzip.compress(text.encode()))
    return tmp_path / "client"


@pytest.mark.parametrize(
    "changed", ["builder_ui/app.py", "builder_ui/canvas/canvas.jsx", "rxconfig.py", "assets/logo.svg"]
)
def test_a_changed_source_changes_the_digest(source: Path, changed: str) -> None:
    before = build.sources_digest(source)
    (source / changed).parent.mkdir(exist_ok=True)
    (source / changed).write_text("different\n")
    assert build.sources_digest(source) != before


def test_what_python_leaves_behind_does_not_change_the_digest(source: Path) -> None:
    before = build.sources_digest(source)
    (source / "builder_ui" / "__pycache__").mkdir()
    (source / "builder_ui" / "__pycache__" / "app.pyc").write_bytes(b"x")
    assert build.sources_digest(source) == before


def test_what_the_build_links_does_not_make_it_out_of_date(source: Path) -> None:
    before = build.sources_digest(source)
    linked = source / "assets" / "external" / "builder_ui"
    linked.mkdir(parents=True)
    (linked / "canvas.jsx").symlink_to(source / "builder_ui" / "canvas" / "canvas.jsx")
    assert build.sources_digest(source) == before


def test_a_renamed_file_changes_the_digest(source: Path) -> None:
    before = build.sources_digest(source)
    (source / "builder_ui" / "app.py").rename(source / "builder_ui" / "other.py")
    assert build.sources_digest(source) != before


def test_files_without_pages_do_not_count_as_built(source: Path, tmp_path: Path) -> None:
    (tmp_path / "built-from.json").write_text(f'{{"sources": "{build.sources_digest(source)}"}}')
    assert build.built_from(tmp_path) == ""


def test_an_up_to_date_build_is_left_alone(source: Path, tmp_path: Path) -> None:
    target = tmp_path / "webroot"
    (target / "build" / "client").mkdir(parents=True)
    (target / "build" / "client" / "index.html").touch()
    (target / "built-from.json").write_text(f'{{"sources": "{build.sources_digest(source)}"}}')
    assert build.ensure_screens(target, source) is False


def test_a_failing_build_is_quoted(source: Path, tmp_path: Path) -> None:
    (source / "rxconfig.py").write_text("raise SystemExit('this line is the reason')\n")
    with pytest.raises(build.ScreensFailed, match="this line is the reason"):
        build.ensure_screens(tmp_path / "webroot", source)
    assert build.built_from(tmp_path / "webroot") == ""


def test_the_pages_use_the_address_they_came_from(client: Path) -> None:
    build.use_own_address(client)
    text = (client / "assets" / "reflex-env-abc.js").read_text()
    assert 'PING:(location.origin+"/ping")' in text
    assert 'EVENT:(location.origin.replace(/^http/,"ws")+"/_event")' in text
    assert "localhost" not in text


def test_the_compressed_copy_says_the_same(client: Path) -> None:
    build.use_own_address(client)
    plain = (client / "assets" / "reflex-env-abc.js").read_bytes()
    assert gzip.decompress((client / "assets" / "reflex-env-abc.js.gz").read_bytes()) == plain


def test_a_reflex_that_writes_addresses_differently_is_noticed(client: Path) -> None:
    (client / "assets" / "reflex-env-abc.js").write_text("var e={}")
    with pytest.raises(build.ScreensFailed, match="another way"):
        build.use_own_address(client)
