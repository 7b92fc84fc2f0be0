"""`make man`: writes what packaging/install.sh installs; a test tells when it has to be run."""

from manual import completions, pages

if __name__ == "__main__":
    for path, text in (pages.texts() | completions.texts()).items():
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")
