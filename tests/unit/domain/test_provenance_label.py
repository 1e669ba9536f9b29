"""Whatever is made of data says where they are from."""

from __future__ import annotations

import pickle
from datetime import UTC, datetime

import pytest

from sapphire.domain import Provenance, ValueRefused

AT = datetime(2025, 1, 1, tzinfo=UTC)


def test_the_label_says_generated_or_recorded() -> None:
    assert (
        Provenance("embedded", "sapphire", {"seed": "7"}, "h", AT).label == "generated market v1, seed 7 (uncalibrated)"
    )
    detail = {"generator": "2", "seed": "7", "calibration": "btc 2024"}
    assert Provenance("embedded", "sapphire", detail, "h", AT).label == "generated market v2, seed 7 (btc 2024)"
    assert Provenance("recorded", "binance usdm", {}, "h", AT).label == "recorded candles (binance usdm)"


def test_provenance_is_a_value() -> None:
    detail = {"seed": "7"}
    one = Provenance("embedded", "sapphire", detail, "h", AT)
    detail["seed"] = "8"
    assert one.label.startswith("generated market v1, seed 7")
    assert pickle.loads(pickle.dumps(one)) == one
    assert hash(one) == hash(Provenance("embedded", "sapphire", {"seed": "7"}, "h", AT))


def test_what_does_not_say_where_it_is_from_is_refused() -> None:
    with pytest.raises(ValueRefused, match="unknown source"):
        Provenance("live", "binance", {}, "h", AT)
    with pytest.raises(ValueRefused, match="without a seed"):
        Provenance("embedded", "sapphire", {}, "h", AT)
    with pytest.raises(ValueRefused, match="timezone"):
        Provenance("recorded", "binance", {}, "h", AT.replace(tzinfo=None))
