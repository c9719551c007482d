"""The journal partition as a picture: what every sector is to the unit, and how full."""

from pathlib import Path

import matplotlib

matplotlib.use("Agg")

from flagfall.journal.medium import SECTOR  # noqa: E402
from matplotlib.figure import Figure  # noqa: E402
from matplotlib.patches import Patch, Rectangle  # noqa: E402

from flagfall_host.depot.journal_image import ImageError, JournalImage  # noqa: E402

COLOURS = {
    "live": "#1b6ca8",
    "acknowledged": "#9cc9e3",
    "erased": "#f2f2f2",
    "retired": "#333333",
    "rubbish": "#c8b38a",
    "damaged": "#d1382c",
}


def draw(image: JournalImage, out: Path) -> None:
    """Draw `image` to the file `out` (the type by its ending). Raises ImageError.

    One square a sector, in the order of their place, filled from below as far as records reach;
    damaged records are red at their height.
    """
    columns = 16 if len(image.sectors) <= 256 else 64
    rows = (len(image.sectors) + columns - 1) // columns
    figure = Figure(figsize=(8, 1.4 + 7.2 * rows / columns), layout="constrained")
    axes = figure.subplots()
    for sector in image.sectors:
        x, y = sector.place % columns, sector.place // columns
        use = image.use_of(sector)
        share = image.reach(sector) / SECTOR if use in ("live", "acknowledged") else 1
        axes.add_patch(Rectangle((x, y), 1, 1, facecolor=COLOURS["erased"], edgecolor="#bbbbbb"))
        axes.add_patch(Rectangle((x, y + 1 - share), 1, share, facecolor=COLOURS[use]))
        if image.order and sector is image.order[-1]:
            axes.add_patch(
                Rectangle((x, y), 1, 1, fill=False, edgecolor="black", linewidth=1.5, zorder=5)
            )
    for damage in image.damages:
        if damage.address < 0:
            continue  # gone, and nobody knows from where
        place, offset = divmod(damage.address, SECTOR)
        x, y = place % columns, place // columns
        y_at = y + 1 - (offset + 160) / SECTOR
        axes.add_patch(Rectangle((x, y_at), 1, 160 / SECTOR, facecolor=COLOURS["damaged"]))
    axes.set_xlim(-0.1, columns + 0.1)
    axes.set_ylim(rows + 0.1, -0.1)
    axes.set_aspect("equal")
    axes.axis("off")
    axes.set_title(
        f"{image.size // 1024} KiB, seq {image.records[0].seq if image.records else 0} to "
        f"{image.last_seq}, booked to {image.acked_seq}",
        fontsize=9,
    )
    uses = [image.use_of(s) for s in image.sectors]
    legend = [
        Patch(color=colour, label=f"{use} ({uses.count(use)})")
        for use, colour in COLOURS.items()
        if use != "damaged"
    ]
    legend.append(Patch(color=COLOURS["damaged"], label=f"damaged ({len(image.damages)})"))
    figure.legend(handles=legend, loc="outside lower center", ncols=6, fontsize=7, frameon=False)
    try:
        figure.savefig(out, dpi=150)
    except (OSError, ValueError) as e:
        raise ImageError(f"{out}: the picture cannot be written: {e}") from e
