"""Ways in which bytes go bad."""

from __future__ import annotations

from collections.abc import Callable

from hypothesis import strategies as st

Damage = Callable[[bytes], bytes]
_PLACE = st.floats(0, 1, exclude_max=True)


def _at(place: float, data: bytes) -> int:
    return int(place * len(data))


@st.composite
def _flipped(draw: st.DrawFn) -> Damage:
    place, bit = draw(_PLACE), draw(st.integers(0, 7))
    last_bytes = draw(st.booleans())  # half of them near the end, where a Parquet footer is

    def damage(data: bytes) -> bytes:
        content = bytearray(data)
        if content:
            window = min(len(content), 2000) if last_bytes else len(content)
            content[len(content) - window + int(place * window)] ^= 1 << bit
        return bytes(content)

    return damage


@st.composite
def _overwritten(draw: st.DrawFn) -> Damage:
    place, new = draw(_PLACE), draw(st.binary(min_size=1, max_size=64))
    return lambda data: data[: _at(place, data)] + new + data[_at(place, data) + len(new) :]


@st.composite
def _cut(draw: st.DrawFn) -> Damage:
    first, second = draw(_PLACE), draw(_PLACE)
    kind = draw(st.sampled_from(["end", "start", "middle", "doubled"]))

    def damage(data: bytes) -> bytes:
        start, end = sorted((_at(first, data), _at(second, data)))
        return {
            "end": data[:end],
            "start": data[start:],
            "middle": data[:start] + data[end:],
            "doubled": data[:end] + data[start:],
        }[kind]

    return damage


def _replaced(content: bytes) -> Damage:
    return lambda data: content


def damages() -> st.SearchStrategy[Damage]:
    """One bit, some bytes, a cut, or another content altogether."""
    garbage = (st.binary(max_size=200) | st.just(b"\0" * 100)).map(_replaced)
    return _flipped() | _overwritten() | _cut() | garbage
