"""The estate's demo: rebake two services on a new base, retire images, repair drift, revoke an image."""

from typing import Any

from examples.pages.build import build as build_pages
from examples.webapp.build import build as build_webapp
from rebake import config, tags
from rebake.estate.drift.report import FINDINGS
from rebake.estate.report import DRIFT, REBAKE, RETIRE_IMAGES, latest
from rebake.image.channels import CURRENT, base_name, parameter_name
from stack import follow, revoke, status, up
from stack.airflow import USER
from stack.api import error_of
from stack.console import detail, elapsed, step
from stack.demo import succeed
from stack.follow import Follower
from stack.layout import Layout
from stack.settings import ENVIRONMENT
from stack.up import Stack

BASE = "debian-12"
SERVICES = ("webapp", "pages")
FIRST = ("1.0.0", "1.1.0")
LATER = ("1.2.0", "1.3.0")
"""Versions of the sample service, before and after the new base."""
REBAKE_DAG = "rebake_on_new_base"


def run(layout: Layout) -> bool:
    """Run the demo, and return whether all of its results are as expected.

    Args:
        layout: The clone.

    Raises:
        StackError: something does not start, or a run fails that should not.
    """
    for version in (*FIRST, *LATER):
        build_webapp(version, layout.project / "build")
    build_pages("1.0.0", layout.project / "build")
    stack = up.up(layout)
    stages = (_found, _new_base, _retire, _drift, _revoke)
    rows = [row for stage in stages for row in stage(stack)]
    print(f"\n{status.render(status.collect(stack))}\n")
    for what, seen, ok in rows:
        detail(f"{'ok' if ok else 'WRONG':<7} {what:<28} {seen}")
    detail(f"Airflow            {stack.settings.airflow_url}  user {USER}, password {stack.settings.admin_password}")
    detail("go on with         make status | make report KIND=drift | make lineage OF=1.3.0 | make down")
    step(f"the estate's demo took {elapsed():.0f} s")
    return all(ok for _, _, ok in rows)


Row = tuple[str, str, bool]
"""What was checked, what was found, and whether that is right."""


def _found(stack: Stack) -> list[Row]:
    """Deploy two services of different shapes on one base."""
    if not _current_base(stack):
        succeed(follow.run(stack.api, "rebuild_base_image", {"base": BASE}))
    pages = _begin(stack, "deploy_pages", {"version": "1.0.0"})
    for version in FIRST:
        succeed(follow.run(stack.api, "deploy_webapp", {"version": version}))
    succeed(Follower(stack.api, "deploy_pages", pages).follow())
    return [_runs(stack, "webapp", FIRST[-1]), _runs(stack, "pages", "1.0.0")]


def _new_base(stack: Stack) -> list[Row]:
    """Rebuild the base, whose event rebakes both services and rolls them out."""
    old = _current_base(stack)
    stack.api.wait_for_dag(REBAKE_DAG)
    stack.api.unpause(REBAKE_DAG)
    earlier = stack.api.runs(REBAKE_DAG)
    for service in SERVICES:
        stack.api.unpause(f"deploy_{service}")
    succeed(follow.run(stack.api, "rebuild_base_image", {"base": BASE, "force_bake": True}))
    new = _current_base(stack)
    run_id = follow.started_since(stack.api, REBAKE_DAG, earlier)
    step(f"{REBAKE_DAG}, started by the event of {BASE}")
    succeed(Follower(stack.api, REBAKE_DAG, run_id).follow())
    services = status.collect(stack)["services"]
    rows: list[Row] = [("the base is rebuilt", f"{old} → {new}", old != new)]
    for name in SERVICES:
        base = services[name]["base"]
        rows.append((f"{name} is on the new base", f"on {base['base_ami']}", base["base_ami"] == new))
    rows.append(_reported(stack, REBAKE))
    return rows


def _retire(stack: Stack) -> list[Row]:
    """Deploy until there are more images than are kept, then retire the old ones in three runs.

    The first image stays in any case: Terraform leaves `$Default` at the template's first version.
    """
    for version in LATER:
        succeed(follow.run(stack.api, "deploy_webapp", {"version": version}))
    before = _images(stack)
    succeed(follow.run(stack.api, "retire_images", {}))
    dry = _images(stack)
    for _ in range(3):  # An image goes one step a run: deprecated, disabled, deregistered.
        succeed(follow.run(stack.api, "retire_images", {"dry_run": False}))
    gone = sorted(before.keys() - _images(stack).keys())
    retired = ", ".join(f"{ami_id} ({before[ami_id]})" for ami_id in gone) or "none"
    return [
        ("a dry run retires nothing", f"{len(dry)} of {len(before)} images are there", dry == before),
        ("old images are retired", retired, bool(gone)),
        _reported(stack, RETIRE_IMAGES),
    ]


def _drift(stack: Stack) -> list[Row]:
    """Change an attribute by hand and open port 22: a scan finds and repairs both, and the next finds nothing."""
    elbv2, ec2 = stack.cloud.client("elbv2"), stack.cloud.client("ec2")
    (fleet,) = [
        group
        for group in elbv2.describe_target_groups()["TargetGroups"]
        if group["TargetGroupName"].startswith("webapp-")
    ]
    delay = {"Key": "deregistration_delay.timeout_seconds", "Value": "77"}
    elbv2.modify_target_group_attributes(TargetGroupArn=fleet["TargetGroupArn"], Attributes=[delay])
    named = [{"Name": "group-name", "Values": [f"webapp-{ENVIRONMENT}-instance"]}]
    (group,) = ec2.describe_security_groups(Filters=named)["SecurityGroups"]
    ssh = {"IpProtocol": "tcp", "FromPort": 22, "ToPort": 22, "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_ingress(GroupId=group["GroupId"], IpPermissions=[ssh])
    step("by hand: a deregistration delay of 77 s, and port 22 open to the world")

    found, repaired = _scan(stack)
    left, _ = _scan(stack)
    made = [one for one in found if one.endswith(("/deregistration_delay", "/tcp 22 from 0.0.0.0/0"))]
    return [
        ("drift made by hand is found", ", ".join(made) or "none", len(made) == 2),
        ("and repaired", ", ".join(repaired) or "nothing", not left & set(made)),
        _reported(stack, DRIFT),
    ]


def _scan(stack: Stack) -> tuple[set[str], list[str]]:
    """Run a scan; return the ids of its findings, and of those that were repaired."""
    succeed(follow.run(stack.api, "detect_drift", {}))
    tables = _report(stack, DRIFT)["tables"]
    rows: list[list[Any]] = next((part["rows"] for part in tables if part["title"] == FINDINGS), [])
    return {row[0] for row in rows}, [row[0] for row in rows if "repaired" in row]


def _revoke(stack: Stack) -> list[Row]:
    """Revoke an image, and check that its deployment is refused with the reason."""
    current = status.collect(stack)["services"]["webapp"]["current"]
    bad, version = next(
        (ami_id, version)
        for ami_id, version in sorted(_images(stack).items())
        if version.startswith("webapp ") and ami_id != current
    )
    reason = "its TLS library leaks memory"
    done = revoke.run(stack, bad, reason, undo=False)
    outcome = follow.run(stack.api, "deploy_webapp", {"version": version.split()[1], "ami_id": bad})
    failed = [task for task in stack.api.tasks(outcome.dag_id, outcome.run_id) if task.state == "failed"]
    message = error_of(stack.api.log(outcome.dag_id, outcome.run_id, failed[0])) if failed else "it was deployed"
    return [
        ("an image is revoked", bad, done),
        ("and refused", message, outcome.state == "failed" and reason in message),
    ]


def _begin(stack: Stack, dag_id: str, conf: dict[str, Any]) -> str:
    """Start a run without waiting for it, and return its id."""
    stack.api.wait_for_dag(dag_id)
    stack.api.unpause(dag_id)
    step(f"{dag_id} {' '.join(f'{key}={value}' for key, value in conf.items())}, beside the next")
    return stack.api.trigger(dag_id, conf)


def _current_base(stack: Stack) -> str:
    found = stack.cloud.client("ssm").get_parameters(Names=[parameter_name(base_name(BASE), CURRENT)])["Parameters"]
    return str(found[0]["Value"]) if found else ""


def _runs(stack: Stack, service: str, version: str) -> Row:
    """Return a row on what a service runs, which should be a version alone."""
    found = status.collect(stack)["services"][service]
    text = f"{found['url']}: " + ", ".join(f"{count} of {name}" for name, count in found["versions"].items())
    return f"{service} runs", text, set(found["versions"]) == {version}


def _images(stack: Stack) -> dict[str, str]:
    """Return each image's service and version, such as `webapp 1.0.0`, by id."""
    answer = stack.cloud.client("ec2").describe_images(Owners=["self"], IncludeDisabled=True)["Images"]
    labels = {image["ImageId"]: tags.read(image) for image in answer}
    return {
        ami_id: f"{found[tags.SERVICE]} {found[tags.VERSION]}" for ami_id, found in labels.items() if tags.KIND in found
    }


def _reported(stack: Stack, kind: str) -> Row:
    """Return a row on the newest report of a kind."""
    found = _report(stack, kind)
    return f"a report is written: {kind}", found["title"] if found else "there is none", bool(found)


def _report(stack: Stack, kind: str) -> dict[str, Any]:
    return latest(stack.cloud.client("s3"), config.load_environment(ENVIRONMENT).bucket, kind) or {}
