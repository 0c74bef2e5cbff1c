# Copyright: codeopen.workspaces maintainers
# GNU General Public License v3.0+ (see COPYING or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Add-on cloud: what its tools do without an account, and with stand-ins for S3 and for a cluster's API.

The stand-in for S3 is moto, as Debian has it, in a container beside the workspace.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterator

import kubernetes_stand_in
import pytest
from running_workspace import RunningWorkspace, docker, image_of, running_workspace

pytestmark = pytest.mark.catalogue

S3 = """
install-apt python3-moto python3-flask-cors >/tmp/install.log 2>&1 || { cat /tmp/install.log; exit 1; }
python3 -c 'from moto.server import main; main()' --host 0.0.0.0 --port 5000 >/tmp/s3.log 2>&1 &
timeout 120 bash -c 'until curl -fs --noproxy "*" http://127.0.0.1:5000/moto-api/ >/dev/null; do sleep 0.3; done' ||
  { cat /tmp/s3.log; exit 1; }
"""

SHOP = """
terraform {
  required_version = ">= 1.10"
}
variable "fruit" {
  type = string
}
resource "terraform_data" "shop" {
  input = upper(var.fruit)
  provisioner "local-exec" {
    command = "echo ${self.input} >sold.txt"
  }
}
output "sold" {
  value = terraform_data.shop.output
}
"""


# A wheel that az takes for an extension with one command.
EXTENSION = {
    "azext_fruit/__init__.py": """
from azure.cli.core import AzCommandsLoader
from azure.cli.core.commands import CliCommandType


def show():
    return "pear"


class Loader(AzCommandsLoader):
    def load_command_table(self, args):
        with self.command_group("fruit", CliCommandType(operations_tmpl="azext_fruit#{}")) as group:
            group.command("show", "show")
        return self.command_table


COMMAND_LOADER_CLS = Loader
""",
    "azext_fruit/azext_metadata.json": '{"azext.minCliCoreVersion": "2.0.67"}\n',
    "fruit-0.1.0.dist-info/METADATA": "Metadata-Version: 2.1\nName: fruit\nVersion: 0.1.0\n",
    "fruit-0.1.0.dist-info/WHEEL": "Wheel-Version: 1.0\nGenerator: a person\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
    "fruit-0.1.0.dist-info/RECORD": "",
}


@pytest.fixture(scope="module")
def image() -> str:
    return image_of("cloud")


@pytest.fixture(scope="module")
def workspace(tmp_path_factory: pytest.TempPathFactory, image: str) -> Iterator[RunningWorkspace]:
    """A workspace with the stand-in for S3 beside it, which it knows as ``s3``."""
    name = f"codeopen-test-{secrets.token_hex(4)}"
    docker("network", "create", name)
    try:
        directory = tmp_path_factory.mktemp("secrets")
        with running_workspace(image, directory, "--network", name) as workspace:
            docker(
                "run", "--detach", "--name", f"{name}-s3", "--network", name, "--network-alias", "s3",
                "--user", "root", "--no-healthcheck", "--entrypoint", "/usr/bin/tini",
                "--volume", f"{directory}/network:/run/secrets/network:ro", image, "--", "sleep", "infinity",
            )  # fmt: skip
            docker("exec", f"{name}-s3", "/usr/local/lib/codeopen/build-shell", "-c", S3)
            yield workspace
    finally:
        docker("rm", "--force", "--volumes", f"{name}-s3", check=False)
        docker("network", "rm", name, check=False)


def test_aws_puts_lists_and_gets_an_object(workspace: RunningWorkspace) -> None:
    workspace.write("/home/developer/.aws/credentials", "[default]\naws_access_key_id=k\naws_secret_access_key=s\n")
    workspace.write("/home/developer/.aws/config", "[default]\nregion=eu-central-1\nendpoint_url=http://s3:5000\n")
    done = workspace.run(
        "aws s3 mb s3://shop; echo pear >/tmp/fruit; aws s3 cp /tmp/fruit s3://shop/fruit.txt --no-progress;"
        " aws s3 ls s3://shop/; aws s3 cp s3://shop/fruit.txt -"
    )
    assert "fruit.txt" in done.stdout
    assert done.stdout.splitlines()[-1] == "pear"
    listing = json.loads(workspace.run("aws s3api list-objects-v2 --bucket shop --output json").stdout)
    assert [(item["Key"], item["Size"]) for item in listing["Contents"]] == [("fruit.txt", 5)]


def test_aws_passes_on_what_the_service_refuses(workspace: RunningWorkspace) -> None:
    done = workspace.run(
        "AWS_ACCESS_KEY_ID=k AWS_SECRET_ACCESS_KEY=s AWS_REGION=eu-central-1"
        " aws s3 ls s3://nowhere --endpoint-url http://s3:5000",
        check=False,
    )
    assert done.returncode != 0
    assert "NoSuchBucket" in done.stderr


def test_terraform_plans_applies_and_destroys(workspace: RunningWorkspace) -> None:
    workspace.write("/home/developer/shop/main.tf", SHOP)
    workspace.run("terraform fmt -check && terraform init -input=false", workdir="/home/developer/shop")
    plan = workspace.run(
        "terraform plan -no-color -input=false -var fruit=pear -out plan", workdir="/home/developer/shop"
    ).stdout
    assert "Plan: 1 to add, 0 to change, 0 to destroy." in plan
    workspace.run("terraform apply -input=false plan", workdir="/home/developer/shop")
    assert (
        workspace.run("terraform output -raw sold; cat sold.txt", workdir="/home/developer/shop").stdout == "PEARPEAR\n"
    )
    again = workspace.run("terraform plan -no-color -var fruit=pear", workdir="/home/developer/shop").stdout
    assert "No changes." in again
    gone = workspace.run(
        "terraform destroy -no-color -auto-approve -var fruit=pear", workdir="/home/developer/shop"
    ).stdout
    assert "1 destroyed" in gone


def test_terraform_keeps_its_state_in_s3(workspace: RunningWorkspace) -> None:
    """The backends are modules of their own, which must be of the same commit as Terraform."""
    workspace.write(
        "/home/developer/remote/main.tf",
        """
terraform {
  backend "s3" {
    bucket                      = "states"
    key                         = "shop"
    region                      = "eu-central-1"
    access_key                  = "k"
    secret_key                  = "s"
    endpoints                   = { s3 = "http://s3:5000" }
    use_path_style              = true
    use_lockfile                = true
    skip_credentials_validation = true
    skip_requesting_account_id  = true
    skip_metadata_api_check     = true
  }
}
resource "terraform_data" "shop" {
  input = "quince"
}
""",
    )
    aws = "AWS_ACCESS_KEY_ID=k AWS_SECRET_ACCESS_KEY=s AWS_REGION=eu-central-1 aws --endpoint-url http://s3:5000"
    workspace.run(
        f"{aws} s3 mb s3://states && terraform init -input=false && terraform apply -auto-approve",
        workdir="/home/developer/remote",
    )
    assert '"quince"' in workspace.run(f"{aws} s3 cp s3://states/shop -").stdout


def test_az_keeps_settings_and_reports_nothing(workspace: RunningWorkspace) -> None:
    workspace.run("az config set core.output=tsv defaults.location=westeurope --only-show-errors")
    got = workspace.run("az config get defaults.location --query value --output tsv --only-show-errors")
    assert got.stdout.strip() == "westeurope"
    assert workspace.run("az version --query '\"azure-cli\"' --output tsv").stdout.strip()
    assert workspace.run("echo $AZURE_CORE_COLLECT_TELEMETRY").stdout.strip() == "false"


def test_az_refuses_without_an_account(workspace: RunningWorkspace) -> None:
    done = workspace.run("az account show", check=False)
    assert done.returncode != 0
    assert "az login" in done.stderr


def test_az_loads_every_command_it_has(workspace: RunningWorkspace) -> None:
    """Nothing that a command needs went when az was made smaller."""
    assert "CLI self-test completed: OK" in workspace.run("az self-test 2>&1").stdout


def test_az_has_bytecode_in_place_of_sources(workspace: RunningWorkspace) -> None:
    packages = "/opt/az/lib/python3*/site-packages"
    assert workspace.run(f"find {packages}/azure -name '*.py' -o -name __pycache__").stdout == ""
    assert workspace.run(f"ls {packages}/azure/cli/__main__.pyc").stdout
    # pip, with which az installs its extensions, runs files of its own.
    assert workspace.run(f"ls {packages}/pip/__pip-runner__.py").stdout


def test_az_installs_an_extension(workspace: RunningWorkspace) -> None:
    """As pip builds and installs it, in the home volume, and az then runs its command."""
    for path, text in EXTENSION.items():
        workspace.write(f"/tmp/extension/{path}", text)
    workspace.run("zip --quiet --recurse-paths /tmp/fruit-0.1.0-py3-none-any.whl .", workdir="/tmp/extension")
    workspace.run("az extension add --yes --source /tmp/fruit-0.1.0-py3-none-any.whl")
    assert workspace.run("az fruit show --output tsv").stdout.strip() == "pear"


def test_az_finds_every_version_of_its_sdks(workspace: RunningWorkspace) -> None:
    """Every API version that az's profiles name can be loaded."""
    workspace.write(
        "/tmp/profiles.py",
        """
from importlib.util import find_spec
from pathlib import Path
from azure.cli.core.profiles import AZURE_API_PROFILES

loaded = set()
for profile in AZURE_API_PROFILES.values():
    for kind, versions in profile.items():
        if versions is None or not kind.import_prefix.startswith("azure.mgmt"):
            continue
        package = find_spec(kind.import_prefix)
        # Some clients az has brought itself, and some packages have one version only.
        if package is None or not list(Path(package.submodule_search_locations[0]).glob("v[0-9]*")):
            continue
        for version in [versions] if isinstance(versions, str) else versions.profile.values():
            name = f"{kind.import_prefix}.v{version.replace('-', '_')}.models"
            __import__(name)
            loaded.add(name)
print(len(loaded))
""",
    )
    assert int(workspace.run("/opt/az/bin/python /tmp/profiles.py").stdout) > 10


def test_kubectl_lists_the_pods_of_a_cluster(workspace: RunningWorkspace) -> None:
    kubernetes_stand_in.start_in(workspace)
    assert workspace.run("kubectl get pods -o name").stdout.split() == ["pod/web-1", "pod/worker-1"]
    assert workspace.run("kubectl logs web-1").stdout == kubernetes_stand_in.LOG


def test_gcloud_keeps_settings_and_refuses_without_an_account(workspace: RunningWorkspace, image: str) -> None:
    label = docker("image", "inspect", "--format", '{{index .Config.Labels "codeopen.left-out"}}', image).stdout
    if "gcloud" in label.split():
        assert workspace.run("command -v gcloud", check=False).returncode != 0
        pytest.skip("the image was built without gcloud, as its label says")
    workspace.run("gcloud config set project shop")
    assert workspace.run("gcloud config get project").stdout.strip() == "shop"
    done = workspace.run("gcloud projects list --quiet", check=False)
    assert done.returncode != 0
    assert "gcloud auth login" in done.stderr
