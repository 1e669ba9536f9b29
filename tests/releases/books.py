"""An engine's books beside the exchange's: orders, fills and balances, to the last digit."""

__all__ = ["never_arrived", "require_same_balances", "require_same_fills", "require_same_orders"]

_HALVES = ("free", "locked")


def never_arrived(order):
    """An order that was written to a connection that died, and that the venue says it does not know."""
    return order["state"] == "REJECTED" and order["venue_code"] is None and order["filled_lots"] == "0"


def require_same_orders(orders, history, *, refused=()):
    """The engine's orders are the exchange's, none lost, none doubled.

    Parameters
    ----------
    orders : the engine's.
    history : of the account, as the exchange's control plane gives it; what it refuses is no order of its.
    refused : codes that the exchange may have refused orders with.
    """
    theirs = {order["client_order_id"]: order for order in history}
    assert len(theirs) == len(history), "no order is there twice"
    sent = {order["order"]: order for order in orders if order["denied"] is None}
    ours = {
        name: order for name, order in sent.items()
        if not never_arrived(order) and not (order["state"] == "REJECTED" and order["venue_code"] in refused)
    }  # fmt: skip
    lost, unknown = set(theirs) - set(ours), set(ours) - set(theirs)
    assert not lost, f"the engine has lost {sorted(lost)}"
    assert not unknown, f"the exchange does not know {[ours[name] for name in sorted(unknown)]}"
    for name, order in theirs.items():
        assert (order["symbol"], order["quantity_lots"], order["price_ticks"], order["executed_lots"]) == (
            ours[name]["symbol"].replace("/", ""), ours[name]["lots"], ours[name]["ticks"], ours[name]["filled_lots"]
        )  # fmt: skip
        assert order["executed_quote_atoms"] == ours[name]["filled_quote_atoms"]


def require_same_fills(fills, history):
    """The engine's fills, or those of its journal, are the exchange's, none lost, none doubled."""
    theirs = {
        (order["client_order_id"], str(fill["trade_id"])): (fill["ticks"], fill["lots"], fill["quote_atoms"],
                                                            fill["commission_atoms"])
        for order in history for fill in order["fills"]
    }  # fmt: skip
    ours = {
        (fill["order"], fill["trade"]): (fill["ticks"], fill["lots"], fill["quote_atoms"], fill["fee_atoms"])
        for fill in fills
    }
    assert len(ours) == len(fills), "no fill is counted twice"
    assert ours == theirs


def require_same_balances(positions, balances):
    """What the engine says that the account holds is what the exchange says.

    Parameters
    ----------
    positions : the engine's.
    balances : of the account, by asset.
    """
    theirs = {asset: sum(int(balance[key]) for key in _HALVES) for asset, balance in balances.items()}
    ours = {row["symbol"].split("/")[0]: int(row["atoms"]) for row in positions["positions"]}
    ours[positions["quote"]] = int(positions["cash_quote_atoms"])
    assert ours == {asset: theirs.get(asset, 0) for asset in ours}
    assert sum(theirs.values()) == sum(ours.values()), "no asset that the engine does not know of"
