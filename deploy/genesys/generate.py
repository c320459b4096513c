"""Write what Genesys Cloud and Postman import, from the contract of the flows.

From the root of the checkout:

python -m deploy.genesys.generate              # the files of this folder (make genesys-files)
python -m deploy.genesys.generate --check      # 1 if one of them is not what would be written
python -m deploy.genesys.generate --into DIR --address https://balance.acme.example --division Europe
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import yaml
from deploy.genesys.collection import collection, environment
from deploy.genesys.data_actions import custom_auth_action, data_action
from deploy.genesys.place import Place
from deploy.genesys.workflows import workflow

from timeoff_balance.flows.contract import FLOWS

HERE: Final = Path(__file__).resolve().parent
#: Folders that hold nothing but what is written here.
FOLDERS: Final = ("data-actions", "flows", "postman")
_HEAD: Final = "# Written by deploy/genesys/generate.py from the contract of the flows.\n"


def files(place: Place) -> dict[str, str]:
    """Texts by their paths below this folder."""
    written: dict[str, str] = {"data-actions/custom-auth-action.json": _json(custom_auth_action(place))}
    for flow in FLOWS.values():
        written[f"data-actions/{flow.title}.custom.json"] = _json(data_action(flow, place))
        written[f"flows/{flow.title}.yaml"] = _yaml(workflow(flow, place))
    written["postman/timeoff-sync.postman_collection.json"] = _json(collection(place))
    written["postman/timeoff-sync.postman_environment.json"] = _json(environment(place))
    return written


def stale(folder: Path, wanted: dict[str, str]) -> list[str]:
    """Paths of files that are missing, different, or not wanted."""
    found = {
        path.relative_to(folder).as_posix(): path.read_text()
        for name in FOLDERS
        for path in (folder / name).rglob("*")
        if path.is_file()
    }
    return sorted(path for path in found.keys() | wanted.keys() if found.get(path) != wanted.get(path))


def main(arguments: Sequence[str] | None = None) -> int:
    chosen = _parser().parse_args(arguments)
    place = Place(chosen.address, chosen.integration, chosen.division, chosen.target)
    wanted = files(place)
    if chosen.check:
        names = stale(chosen.into, wanted)
        for name in names:
            sys.stderr.write(f"not current: {chosen.into / name}\n")
        return 1 if names else 0
    for name, text in wanted.items():
        path = chosen.into / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    sys.stdout.write(f"{len(wanted)} files in {chosen.into}\n")
    return 0


def _parser() -> argparse.ArgumentParser:
    usual = Place()
    parser = argparse.ArgumentParser(
        "python -m deploy.genesys.generate",
        description="Write what Genesys Cloud and Postman import, from the contract of the flows.",
    )
    parser.add_argument("--check", action="store_true", help="write nothing; 1 if files are not current")
    parser.add_argument("--into", type=Path, default=HERE, metavar="DIR", help="default: this folder")
    parser.add_argument(
        "--address",
        type=_address,
        default=usual.address,
        help="the balance service as Genesys Cloud reaches it (default: %(default)s)",
    )
    parser.add_argument(
        "--integration",
        default=usual.integration,
        help="name of the Web Services Data Actions integration (default: %(default)s)",
    )
    parser.add_argument("--division", default=usual.division, help="of the workflows (default: %(default)s)")
    parser.add_argument("--target", help="the HRIS by its name in the settings, if there are several")
    return parser


def _address(text: str) -> str:
    parts = urlsplit(text)
    if parts.scheme not in ("https", "http") or not parts.hostname or parts.query or parts.fragment:
        raise argparse.ArgumentTypeError(f"not an address of a service: {text}")
    # The data actions send the client's secret there.
    if parts.scheme == "http":
        raise argparse.ArgumentTypeError(f"not https: {text}")
    # Velocity would read these in a template.
    if set(text) & set("$#\\"):
        raise argparse.ArgumentTypeError(f"an address with $, # or \\ cannot be written: {text}")
    return text


def _json(value: Any) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"


def _yaml(value: Any) -> str:
    return _HEAD + yaml.dump(
        value, Dumper=_WithoutAnchors, sort_keys=False, allow_unicode=True, width=4_000, indent=2
    )


class _WithoutAnchors(yaml.SafeDumper):
    """Equal parts are written out, not referred to."""

    def ignore_aliases(self, data: Any) -> bool:
        return True


if __name__ == "__main__":
    sys.exit(main())
