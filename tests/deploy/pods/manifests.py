"""A manifest that notes which of its fields were read: what nobody read was not honoured."""


class Fields:
    """An object, a list or a value of a manifest.

    Parameters
    ----------
    value : as YAML has it.
    path : where it is in the manifest; an item of a list goes by its name, where it has one.
    unread : paths of all leaves that nobody has read yet, shared by the whole manifest.
    """

    def __init__(self, value, path, unread=None):
        self.value, self.path = value, path
        self.unread = dict(_leaves(value, path)) if unread is None else unread

    def get(self, name, default=None):
        """A field: its value where it is a leaf, which is read by that; else its fields."""
        return self[name] if name in self.value else default

    def __getitem__(self, name):
        assert name in self.value, f"{self.path} has no {name}"
        return self._at(self.value[name], name)

    def __iter__(self):
        for number, item in enumerate(self.value):
            yield self._at(item, _name_of(item, number))

    def plain(self):
        """All of it, which is read by that."""
        for path, _ in _leaves(self.value, self.path):
            self.unread.pop(path, None)
        return self.value

    def only(self, name, *allowed):
        """A field that may have no other value than these: there is nothing in podman for another."""
        value = self.get(name)
        value = value.plain() if isinstance(value, Fields) else value
        assert value in allowed, f"{self.path}/{name}: {value!r}, and podman is told only {allowed}"
        return value

    def _at(self, value, name):
        path = f"{self.path}/{name}"
        if _has_leaves(value):
            return Fields(value, path, self.unread)
        self.unread.pop(path, None)
        return value


def _has_leaves(value):
    return isinstance(value, dict | list) and bool(value)


def _name_of(item, number):
    named = item.get("name") or item.get("mountPath") or item.get("key") if isinstance(item, dict) else None
    return named or number


def _leaves(value, path):
    if not _has_leaves(value):
        yield path, value
        return
    items = value.items() if isinstance(value, dict) else ((_name_of(item, n), item) for n, item in enumerate(value))
    for name, item in items:
        yield from _leaves(item, f"{path}/{name}")
