# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""slim_az.py DIRECTORY: takes from the environment of az what none of its commands loads.

Those are the asynchronous clients of Azure's SDKs, the API versions that none of az's profiles names, and the sources
of all modules under azure, which are as large again as the bytecode that runs. Microsoft's own packages of az come
without the first two everywhere, and without the sources on Windows.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
from pathlib import Path

# Runs inside the environment: az itself knows which API versions its profiles use.
USED_VERSIONS = """
import importlib.util
from azure.cli.core.profiles import AD_HOC_API_VERSIONS, AZURE_API_PROFILES

kinds = [kind for kind in AZURE_API_PROFILES["latest"] if kind.import_prefix.startswith("azure.mgmt")]
for kind in kinds:
    spec = importlib.util.find_spec(kind.import_prefix)
    profiles = [profile[kind] for profile in AZURE_API_PROFILES.values() if kind in profile]
    if spec is None or None in profiles:
        continue
    versions = set(AD_HOC_API_VERSIONS.get(kind, {}).values())
    for profile in profiles:
        versions |= {profile} if isinstance(profile, str) else set(profile.profile.values())
    print(spec.submodule_search_locations[0], *sorted(versions))
"""


def unused_versions(package: Path, versions: list[str]) -> list[Path]:
    """The folders of an SDK, such as v2019_02_01, that are of none of the versions, such as 2019-02-01."""
    used = {"v" + version.replace("-", "_") for version in versions}
    # What the SDK itself takes its newest models from.
    models = package / "models.py"
    if models.exists():
        used |= set(re.findall(r"from \.(v\w+)\.models import", models.read_text(encoding="utf-8")))
    return [folder for folder in package.glob("v[0-9]*") if folder.is_dir() and folder.name not in used]


def drop_sources(folder: Path) -> None:
    """Leave of each module its bytecode, in the place where Python looks for modules without a source."""
    for cache in list(folder.rglob("__pycache__")):
        for bytecode in cache.iterdir():
            source = cache.parent / (bytecode.name.partition(".")[0] + ".py")
            bytecode.rename(source.with_suffix(".pyc"))
            source.unlink()
        cache.rmdir()


def main() -> None:
    environment = Path(sys.argv[1])
    if not environment.exists():
        # az is left out.
        environment.mkdir()
        return
    python = environment / "bin/python"
    listing = subprocess.run([python, "-c", USED_VERSIONS], stdout=subprocess.PIPE, text=True, check=True).stdout
    packages: dict[Path, set[str]] = {}
    for line in listing.splitlines():
        package, *versions = line.split()
        packages.setdefault(Path(package), set()).update(versions)
    for package, versions in packages.items():
        for folder in unused_versions(package, sorted(versions)):
            shutil.rmtree(folder)
    for sdks in environment.glob("lib/python3*/site-packages/azure/mgmt"):
        for folder in list(sdks.rglob("aio")):
            shutil.rmtree(folder)
        drop_sources(sdks.parent)


main()
