"""Put smaller copies of the manual's pictures beside the pages that ChimeraX shows, and the panel's.

`make pictures` runs it.  The picture of the panel is drawn by the test of the panel and copied from
.reports, where there is one.
"""

from pathlib import Path

from PIL import Image

ROOT = Path(__file__).resolve().parents[2]
IMAGES, PAGES = ROOT / "docs/images", ROOT / "src/docs/user"
COPIES = (
    (IMAGES / "tutorial_surfaces.png", PAGES / "commands/locscale_result.png"),
    (IMAGES / "tutorial_real.png", PAGES / "tools/locscaletutorial.png"),
    (ROOT / ".reports/panel.png", PAGES / "tools/locscalehybrid.png"),
    (ROOT / ".reports/panel.png", IMAGES / "panel.png"),
)
WIDEST = 760  # pixels
COLOURS = 128


def main() -> None:
    """Copy what is there."""
    for source, target in COPIES:
        if source.exists():
            picture = Image.open(source).convert("RGB")
            scale = min(1.0, WIDEST / picture.width)
            size = (round(scale * picture.width), round(scale * picture.height))
            picture.resize(size, Image.Resampling.LANCZOS).quantize(COLOURS).save(
                target, optimize=True
            )


if __name__ == "__main__":
    main()
