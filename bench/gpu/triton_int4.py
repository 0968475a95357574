"""A product with int4 weights in groups, written in Triton as its users write them: codes of eight columns in a word,
unpacked on the way to `dot`, the columns in splits that add atomically. Tiles and splits are what Triton's tuner finds
fastest.
"""

import triton
import triton.language as tl

#: Tokens of a tile: the fewest that `dot` takes.
TILE = 16


def _configurations():
    for rows, columns, splits, warps, stages in (
        (32, 128, 1, 4, 4),
        (32, 128, 4, 4, 4),
        (64, 128, 1, 4, 4),
        (64, 128, 4, 4, 3),
        (64, 64, 8, 4, 4),
        (128, 64, 1, 4, 4),
        (128, 64, 4, 8, 3),
        (128, 128, 2, 8, 3),
    ):
        sizes = {"BLOCK_ROWS": rows, "BLOCK_COLUMNS": columns, "SPLITS": splits}
        yield triton.Config(sizes, num_warps=warps, num_stages=stages)


@triton.autotune(configs=list(_configurations()), key=["tokens", "rows", "columns"], reset_to_zero=["y"])
@triton.jit
def _product(
    x,
    codes,
    scales,
    y,
    tokens,
    rows,
    columns,
    GROUP: tl.constexpr,
    BLOCK_TOKENS: tl.constexpr,
    BLOCK_ROWS: tl.constexpr,
    BLOCK_COLUMNS: tl.constexpr,
    SPLITS: tl.constexpr,
):
    token = tl.arange(0, BLOCK_TOKENS)
    row = tl.program_id(0) * BLOCK_ROWS + tl.arange(0, BLOCK_ROWS)
    there = (token[:, None] < tokens) & (row[None, :] < rows)
    total = tl.zeros((BLOCK_TOKENS, BLOCK_ROWS), tl.float32)
    for begin in range(tl.program_id(1) * BLOCK_COLUMNS, columns, BLOCK_COLUMNS * SPLITS):
        column = begin + tl.arange(0, BLOCK_COLUMNS)
        values = tl.load(x + token[:, None] * columns + column[None, :], mask=token[:, None] < tokens, other=0.0)
        words = tl.load(codes + (column // 8)[:, None] * rows + row[None, :], mask=row[None, :] < rows, other=0)
        code = (words >> ((column % 8) * 4)[:, None]) & 15
        scale = tl.load(scales + (begin // GROUP) * rows + row, mask=row < rows, other=0.0)
        total += tl.dot(values, (code - 8).to(tl.bfloat16) * scale[None, :])
    place = y + token[:, None] * rows + row[None, :]
    if SPLITS == 1:
        tl.store(place, total, mask=there)
    else:
        tl.atomic_add(place, total, mask=there)


def product(x, codes, scales, y, group):
    """Adds x [tokens, columns] · W to y [tokens, rows], f32 and zero, for at most 16 tokens. codes: i32 [columns / 8,
    rows], the lowest bits are the first column's; scales: bf16 [columns / group, rows]."""
    (tokens, columns), rows = x.shape, codes.shape[1]

    def grid(sizes):
        return triton.cdiv(rows, sizes["BLOCK_ROWS"]), sizes["SPLITS"]

    _product[grid](x, codes, scales, y, tokens, rows, columns, GROUP=group, BLOCK_TOKENS=TILE)
