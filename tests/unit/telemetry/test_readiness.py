"""Readiness: live from the start, ready when it is told, with the facts as they were told last."""

import httpx

from sapphire.telemetry import Readiness


def get(readiness, path):
    answer = httpx.get(readiness.url + path, trust_env=False)
    return answer.status_code, answer.json()


def test_it_is_live_at_once_and_ready_when_told():
    readiness = Readiness()
    assert get(readiness, "/livez") == (200, {"live": True})
    assert get(readiness, "/readyz") == (503, {"ready": False})
    readiness.tell(ready=True)
    assert get(readiness, "/readyz") == (200, {"ready": True})
    readiness.tell(ready=False, views={"stopped": ["BTC/USDT"]})
    assert get(readiness, "/readyz") == (503, {"ready": False, "views": {"stopped": ["BTC/USDT"]}})
    assert get(readiness, "/state")[0] == 404
    readiness.close()
