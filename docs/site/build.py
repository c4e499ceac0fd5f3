"""Builds the site of the documentation: `python docs/site/build.py FOLDER` makes FOLDER/site; `nox -s docs` runs it.

A page is where its file is on GitHub: the site's copies are made here, their links turned to the site's own, beside
the pages of the reference that are read from the declarations. Nothing is fetched. Each page has a Markdown twin under
its own address with `.md`, and `llms.txt` lists them all (https://llmstxt.org).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import reference

ROOT = Path(__file__).resolve().parent.parent.parent
DOCS = ROOT / "docs"
OTHERS = {
    "CONTRIBUTING.md": "explanations/how-it-is-built.md",
    "SECURITY.md": "explanations/security.md",
    "benchmarks/README.md": "explanations/benchmarks.md",
    "CHANGELOG.md": "changelog.md",
    "README.md": "readme.md",
}
"""Pages that have their place at the top of the repository, and where they are on the site."""
LINK = re.compile(r"(!?\[[^\]]*\])\(([^)\s#]*)(#[^)\s]*)?\)")
CONFIGURATION = Path(__file__).with_name("zensical.toml")
STYLE = Path(__file__).with_name("style.css")


def sources() -> dict[Path, str]:
    """Every file that the site has, and its place there."""
    own = [path for path in sorted(DOCS.rglob("*")) if path.is_file() and "site" not in path.relative_to(DOCS).parts]
    placed = {path: path.relative_to(DOCS).as_posix() for path in own}
    placed |= {ROOT / name: place for name, place in OTHERS.items()}
    pictures = sorted((ROOT / "benchmarks").glob("*.svg")) + sorted((ROOT / "benchmarks").glob("*.png"))
    return placed | {path: f"explanations/{path.name}" for path in pictures}


def copied(path: Path, places: dict[Path, str]) -> str:
    """A page with its links to other files turned to where those are on the site, or to nothing."""

    def turned(match: re.Match[str]) -> str:
        words, target, anchor = match[1], match[2], match[3] or ""
        if not target or "://" in target or target.startswith("mailto:"):
            return match[0]
        file = (path.parent / target).resolve()
        place = places.get(file)
        if place is None and file.is_relative_to(DOCS):
            place = file.relative_to(DOCS).as_posix()  # made with the reference, or nowhere: the build says so
        if place is None:
            return words.strip("[]")
        return f"{words}({os.path.relpath(place, Path(places[path]).parent)}{anchor})"

    return LINK.sub(turned, path.read_text(encoding="utf-8"))


def write_pages(folder: Path) -> None:
    """All pages into `folder`."""
    places = sources()
    for path, place in places.items():
        target = folder / place
        target.parent.mkdir(parents=True, exist_ok=True)
        if place.endswith(".md"):
            target.write_text(copied(path, places), encoding="utf-8")
        else:
            shutil.copyfile(path, target)
    shutil.copyfile(STYLE, folder / STYLE.name)
    for place, text in reference.pages():
        target = folder / "reference" / place
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text, encoding="utf-8")


def check_reference(pages: Path) -> None:
    """Raise `LookupError` where a public name has no place in the reference."""
    shown = re.compile(r"^::: ([\w.]+)", re.MULTILINE)
    texts = [page.read_text(encoding="utf-8") for page in (pages / "reference").rglob("*.md")]
    if missing := reference.undocumented({target for text in texts for target in shown.findall(text)}):
        raise LookupError(f"no page of the reference is about {', '.join(missing)}")


def add_twins(pages: Path, site: Path) -> None:
    """The Markdown of every page beside it, and the list of them."""
    lines = ["# headwater", "", "> Inference on servers from Python: one client for every task and provider.", ""]
    for page in sorted(pages.rglob("*.md")):
        place = page.relative_to(pages).as_posix()
        (site / place).parent.mkdir(parents=True, exist_ok=True)
        shutil.copyfile(page, site / place)
        title = next(
            (line.removeprefix("# ") for line in page.read_text().splitlines() if line.startswith("# ")), place
        )
        lines.append(f"- [{title}]({place})")
    (site / "llms.txt").write_text("\n".join([*lines, ""]), encoding="utf-8")


def configuration(pages: Path) -> str:
    """The settings of the site, with the pages that were generated in its navigation."""
    text = CONFIGURATION.read_text(encoding="utf-8").replace("SOURCE", str(ROOT / "src"))
    for kind in "tasks", "providers":
        places = sorted(path.relative_to(pages).as_posix() for path in (pages / "reference" / kind).iterdir())
        text = text.replace(f'"{kind.upper()}"', ", ".join(f'"{place}"' for place in places))
    return text


def build(folder: Path) -> None:
    """The whole site into `folder`/site. Raises `CalledProcessError` where a page or a link is wrong."""
    shutil.rmtree(folder, ignore_errors=True)
    pages = folder / "pages"
    write_pages(pages)
    check_reference(pages)
    (folder / "zensical.toml").write_text(configuration(pages), encoding="utf-8")
    subprocess.run(
        [sys.executable, "-m", "zensical", "build", "--strict", "-f", "zensical.toml"], cwd=folder, check=True
    )
    add_twins(pages, folder / "site")


if __name__ == "__main__":
    build(Path(sys.argv[1]).resolve())
