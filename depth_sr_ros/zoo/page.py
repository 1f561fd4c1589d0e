"""The model zoo as a Markdown page, made of the cards: `depth-sr models --markdown`, docs/model_zoo.md."""

from __future__ import annotations

from string import ascii_uppercase

from .card import ModelCard
from .catalogue import parameter_count
from .choice import AUTO, CLEAN, bundled_cards, choose_weights, weights_path

HEAD = """# Model zoo

Every weights file that ships with the package, from the cards beside them in `depth_sr_ros/weights/`. This page is
written by `depth-sr models --markdown`.

`weights` of `DepthUpsampler`, `--weights` of `depth-sr upsample`, and the node's `weights_single` and `weights_guided`
take

- `auto` (the default): what serves a camera, the files marked so in the column "choice";
- `clean`: for depth maps reduced by MATLAB's `imresize`, as benchmarks have them;
- the name of a variant, such as `robust`;
- the path of a `.safetensors` file with its card beside it, such as one that `python -m training export` wrote.

Every command says which file it took.
"""
SCORES = """Scores: mean absolute difference in 8-bit disparity levels (lower is better) by the kernel of the LR map,
the mean over both views of the four Middlebury 2006 scenes at third size that no network is trained on. Results are
rounded to whole levels and scored where ground truth and LR pixel are valid; networks run in float32.
`python -m training.benchmark cards --root $DEPTH_SR_DATA` measures them again.
"""


def page() -> str:
    """The page's text."""
    cards = bundled_cards()
    data, licences = _lettered([card.data for card in cards]), _lettered([card.licence for card in cards])
    scores = sorted({name for card in cards for name in card.scores})
    head = ["file", "method", "size", "scale", "variant", "choice", "trained on LR by", "data", "licence"]
    head += ["parameters", "MB", *scores]
    numbers = 2 + len(scores)
    lines = [_row(head), _row(["---"] * (len(head) - numbers) + ["---:"] * numbers)]
    for card in cards:
        path = weights_path(card.method, card.scale, card.size, card.variant)
        cells = [f"`{path.stem}`", card.method, card.size, f"x{card.scale}", card.variant or "-", _choice(card)]
        cells += [card.lr_kernel, data[card.data], licences[card.licence]]
        cells += [
            f"{parameter_count(card.method, card.scale, card.size, **card.options):,}",
            f"{path.stat().st_size / 1e6:.1f}",
        ]
        lines.append(_row(cells + [f"{card.scores[name]:.3f}" if name in card.scores else "-" for name in scores]))
    parts = [HEAD, "\n".join(lines) + "\n", SCORES]
    for title, letters in (("Training data", data), ("Licences", licences)):
        parts.append(f"## {title}\n\n" + "".join(f"- **{letter}**: {text}\n" for text, letter in letters.items()))
    return "\n".join(parts)


def _row(cells: list[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _lettered(texts: list[str]) -> dict[str, str]:
    return dict(zip(dict.fromkeys(texts), ascii_uppercase))


def _choice(card: ModelCard) -> str:
    own = weights_path(card.method, card.scale, card.size, card.variant)
    chosen = [name for name in (AUTO, CLEAN) if choose_weights(card.method, card.scale, card.size, name) == own]
    return ", ".join(f"`{name}`" for name in chosen) or "-"
