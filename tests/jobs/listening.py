"""Who listens where, as /proc shows it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

_LISTENS = "0A"


def listening(pids: Iterable[int] | None = None) -> dict[int, tuple[set[int], set[int]]]:
    """TCP ports by process: those on loopback addresses, and those that others can reach."""
    inodes: dict[str, tuple[int, bool]] = {}
    for table in ("tcp", "tcp6"):
        for line in Path(f"/proc/net/{table}").read_text().splitlines()[1:]:
            fields = line.split()
            address, _, port = fields[1].partition(":")
            if fields[3] == _LISTENS:
                inodes[fields[9]] = int(port, 16), _is_local(address)
    found: dict[int, tuple[set[int], set[int]]] = {}
    folders = ["*[0-9]"] if pids is None else [str(pid) for pid in pids]
    for folder in folders:
        for link in Path("/proc").glob(f"{folder}/fd/*"):
            try:
                target = link.readlink().name
            except OSError:
                continue
            if target.startswith("socket:[") and (entry := inodes.get(target[8:-1])):
                here, beyond = found.setdefault(int(link.parts[2]), (set(), set()))
                (here if entry[1] else beyond).add(entry[0])
    return found


def _is_local(address: str) -> bool:
    """Of hexadecimal words whose bytes are reversed: 127.0.0.0/8 ends with 7F."""
    if len(address) == 8:
        return address.endswith("7F")
    return address == "0" * 24 + "01000000" or (
        address.startswith("0" * 16 + "FFFF0000") and address.endswith("7F")
    )
