"""Tiles of a region."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from genet5.annotate.tiling import Tile, tile_region
from genet5.errors import InputError
from genet5.genome.genes import Region


def test_tiles_overlap_and_are_no_longer_than_they_must_be() -> None:
    assert tile_region(Region("c", 10, 250), 300, 100, 30) == [
        Tile("c", 10, 110, True, False),
        Tile("c", 80, 180, False, False),
        Tile("c", 150, 250, False, True),
    ]
    # One base more takes a fourth tile: all four are shorter.
    assert tile_region(Region("c", 10, 251), 300, 100, 30) == [
        Tile("c", 10, 93, True, False),
        Tile("c", 62, 145, False, False),
        Tile("c", 115, 198, False, False),
        Tile("c", 168, 251, False, True),
    ]


def test_short_region_is_one_tile() -> None:
    assert tile_region(Region("c", 0, 100), 100, 100, 99) == [Tile("c", 0, 100, True, True)]
    assert tile_region(Region("c", 5, 17), 100, 100, 0) == [Tile("c", 5, 17, True, True)]


@given(st.integers(1, 500), st.integers(1, 120), st.data())
def test_tiles_cover_the_region(length: int, window: int, data: st.DataObject) -> None:
    overlap = data.draw(st.integers(0, window - 1))
    start = data.draw(st.integers(0, 50))
    tiles = tile_region(Region("c", start, start + length), start + length + 7, window, overlap)
    assert (tiles[0].start, tiles[-1].end) == (start, start + length)
    (shown,) = {tile.end - tile.start for tile in tiles}
    assert shown <= window
    assert [tile.at_left_end for tile in tiles] == [True] + [False] * (len(tiles) - 1)
    assert [tile.at_right_end for tile in tiles] == [False] * (len(tiles) - 1) + [True]
    shared = [left.end - right.start for left, right in pairwise(tiles)]
    assert all(overlap <= bases <= overlap + 1 for bases in shared)
    assert (len(tiles) - 1) * (window - overlap) + overlap < length or len(tiles) == 1  # one fewer would not do


def test_bad_tilings_are_refused() -> None:
    with pytest.raises(InputError, match=r"overlap_bp 100.*window_bp 100"):
        tile_region(Region("c", 0, 50), 50, 100, 100)
    with pytest.raises(InputError, match=r"overlap_bp -1"):
        tile_region(Region("c", 0, 50), 50, 100, -1)
    for region in (Region("c", 0, 51), Region("c", 20, 20), Region("c", -1, 20)):
        with pytest.raises(InputError, match=r"region c:.*1-50"):
            tile_region(region, 50, 100, 10)
