"""How an unmodified ccxt (sync, async, pro) reaches a server that speaks Binance's API under another address.

The traps are solved here once: ccxt.pro takes a socket for a spot socket only when its address contains `/stream`; a
futures socket must end in `/ws`; and a client without settings also asks for futures and wallets.
"""

from __future__ import annotations

from typing import Any

__all__ = ["ccxt_config"]


def ccxt_config(url: str, ws_url: str, api_key: str = "", api_secret: str = "") -> dict[str, Any]:
    """Constructor settings for `ccxt.binance` and `ccxt.pro.binance`.

    Parameters
    ----------
    url, ws_url : addresses of the server, `http://host:port` and `ws://host:port`.
    api_key, api_secret : of an account; both empty for market data alone.

    Returns
    -------
    dict : settings that ccxt merges into its own description of the exchange. Markets are loaded for spot alone.

    Examples
    --------
    >>> settings = ccxt_config("http://127.0.0.1:8080", "ws://127.0.0.1:8080")
    >>> settings["urls"]["api"]["public"], settings["urls"]["api"]["ws"]["spot"]
    ('http://127.0.0.1:8080/api/v3', 'ws://127.0.0.1:8080/stream/ws')
    """
    url, ws_url = url.rstrip("/"), ws_url.rstrip("/")
    rest = {
        "public": "/api/v3",
        "private": "/api/v3",
        "sapi": "/sapi/v1",
        "fapiPublic": "/fapi/v1",
        "fapiPublicV2": "/fapi/v2",
        "fapiPublicV3": "/fapi/v3",
        "fapiPrivate": "/fapi/v1",
        "fapiPrivateV2": "/fapi/v2",
        "fapiPrivateV3": "/fapi/v3",
        "fapiData": "/futures/data",
        "dapiPublic": "/dapi/v1",
        "dapiPrivate": "/dapi/v1",
    }
    sockets = {"spot": "/stream/ws", "margin": "/stream/ws", "linear": "/fstream/ws"}
    requests = {"spot": "/ws-api/v3", "linear": "/ws-fapi/v1"}
    addresses: dict[str, Any] = {name: url + path for name, path in rest.items()}
    addresses["ws"] = {name: ws_url + path for name, path in sockets.items()}
    addresses["ws"]["ws-api"] = {name: ws_url + path for name, path in requests.items()}
    settings: dict[str, Any] = {
        "enableRateLimit": False,
        "urls": {"api": addresses},
        "options": {"fetchMarkets": {"types": ["spot"]}, "fetchMargins": False, "fetchCurrencies": False},
    }
    if api_key:
        settings |= {"apiKey": api_key, "secret": api_secret}
    return settings
