"""The picture of a completion that notebooks show: seen pixels, the mean, and draws."""

from base64 import b64encode
from io import BytesIO

import torch
import torch.nn.functional as F
from torch import Tensor

from elboroom.html_table import Picture

_MOST_ROWS, _MOST_DRAWS = 8, 4
_GAP = 2  # pixels between pictures
_UNSEEN = 0.5  # the tone of what is not seen; the figure `completion` has a colour for it
_SIDE = 56  # pixels of the screen that a picture is drawn on, at least


def picture(mean: Tensor, draws: Tensor, seen: Tensor) -> Picture:
    """Draw the first images: what was seen, the mean and some draws, from left to right.

    Args:
        mean: (B, C, H, W), with one channel, or three.
        draws: (S, B, C, H, W).
        seen: (B, C, H, W), True where a pixel is seen.
    """
    columns = [mean.where(seen, torch.nan), mean, *draws[:_MOST_DRAWS]]
    tiles = _tones(torch.stack([column[:_MOST_ROWS] for column in columns], 1).cpu())
    sheet = _joined(tiles)
    factor = max(1, -(-_SIDE // max(mean.shape[-2:])))
    size = factor * sheet.shape[1], factor * sheet.shape[0]
    return Picture(_png(sheet), _words(len(tiles), len(columns) - 2), size)


def _words(rows: int, draws: int) -> str:
    some = f", {draws} draw{'s' * (draws != 1)}" if draws else ""
    return f"{rows} image{'s' * (rows != 1)}: what was seen, the mean{some}"


def _tones(images: Tensor) -> Tensor:
    """Return images as bytes: 0 to 1 as they are, values beyond by their ends; NaN is grey."""
    known = images[~images.isnan()]
    low, high = known.min().clamp(max=0.0), known.max().clamp(min=1.0)
    share = ((images - low) / (high - low)).nan_to_num(_UNSEEN)
    return (255 * share).round().to(torch.uint8)


def _joined(tiles: Tensor) -> Tensor:
    """Join tiles (R, Q, C, H, W) into a sheet (H', W', 4) whose gaps are transparent."""
    colours = tiles if tiles.shape[2] == 3 else tiles[:, :, :1].expand(-1, -1, 3, -1, -1)
    opaque = torch.full_like(colours[:, :, :1], 255)
    padded = F.pad(torch.cat([colours, opaque], 2), (0, _GAP, 0, _GAP))
    rows, columns, _, height, width = padded.shape
    sheet = padded.permute(0, 3, 1, 4, 2).reshape(rows * height, columns * width, 4)
    return sheet[:-_GAP, :-_GAP]


def _png(sheet: Tensor) -> str:
    from PIL import Image  # the rest of inference does not need it

    buffer = BytesIO()
    Image.fromarray(sheet.contiguous().numpy()).save(buffer, format="PNG", optimize=True)
    return b64encode(buffer.getvalue()).decode()
