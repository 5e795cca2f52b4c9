"""What runs: Airflow, the embedded cloud, and each service's instances and releases."""

import datetime as dt
import html
import re
from collections import Counter
from typing import Any

import requests
from botocore.exceptions import BotoCoreError, ClientError

from rebake import config, tags
from rebake.estate.outdated import Standing
from rebake.exceptions import ConfigError
from rebake.image.channels import CURRENT, PREVIOUS, parameter_name, service_name
from rebake.release import lease
from rebake.release import record as release
from rebake.release.record import ReleaseRecord
from stack import revoke
from stack.airflow import USER
from stack.bases import Bases
from stack.console import table
from stack.settings import ENVIRONMENT
from stack.up import Stack

ANSWER_BYTES = 4096
"""How much of a service's answer is read."""
ANSWER_LENGTH = 80
"""How many characters of it are shown."""
_TITLE = re.compile(r"<title[^>]*>([^<]*)", re.IGNORECASE)
_FIELD = re.compile(r'"(version|status)"\s*:\s*"([^"]*)"')


def collect(stack: Stack) -> dict[str, Any]:
    """Return the state of the stack and of every service, JSON-serialisable."""
    cloud = stack.cloud.answers()
    components = {name: "running" if process.pid else "stopped" for name, process in stack.airflow.processes.items()}
    return {
        "airflow": {
            "url": stack.settings.airflow_url,
            "user": USER,
            "password": stack.settings.admin_password,
            **components,
            **stack.airflow.faults(),
        },
        "cloud": {"url": stack.settings.cloud_url, "state": "running" if cloud else "stopped"},
        "services": {name: _service(stack, name) for name in config.service_names()} if cloud else {},
    }


def render(status: dict[str, Any]) -> str:
    """Return the state as text for people."""
    airflow = dict(status["airflow"])
    url, user, password = (airflow.pop(name) for name in ("url", "user", "password"))
    lines = [
        f"Airflow            {url} (user {user}, password {password})",
        f"                   {', '.join(f'{name} {state}' for name, state in airflow.items())}",
        f"embedded cloud     {status['cloud']['url']}  {status['cloud']['state']}",
    ]
    if {*airflow.values(), status["cloud"]["state"]} != {"running"}:
        lines.append("`make up` ends what is broken and starts what does not run")
    for name, service in status["services"].items():
        lines += ["", f"{name}: {service.get('error') or service.get('url') or 'not deployed'}"]
        if not service.get("url"):
            continue
        lines.append(f"  answers          {service['answers']}")
        lines.append(f"  current image    {service['current'] or 'none'}")
        lines.append(f"  base image       {_base_line(service['base'])}")
        for title in ("current", "previous"):
            lines.append(f"  {title + ' release':<16} {service[f'{title}_release'] or 'none'}")
        lines.append(f"  last run         {_run_line(service['last_release'])}")
        lines += [f"  revoked          {note}" for note in service.get("revoked", ())]
        if service["lease"]:
            lines.append(f"  in progress      {service['lease']}")
        rows = [
            (item["instance"], item["state"], item["health"], item["version"], item["ami"])
            for item in service["instances"]
        ]
        text = table(("instance", "state", "target", "version", "image"), rows)
        lines += [f"  {line}" for line in text.splitlines()]
    return "\n".join(lines)


def _service(stack: Stack, name: str) -> dict[str, Any]:
    try:
        group_name = f"{name}-{ENVIRONMENT}"
        service = config.load_service(name, config.load_environment(ENVIRONMENT))
        groups = stack.cloud.client("autoscaling").describe_auto_scaling_groups(AutoScalingGroupNames=[group_name])
        if not groups["AutoScalingGroups"]:
            return {"url": None}
        group = groups["AutoScalingGroups"][0]
        address = _address(stack, group)
        if not address:
            return {"url": None}
        url = f"http://{address}:{service.fleet.listener_port}/"
        instances = _instances(stack, group)
        return {
            "url": url,
            "answers": answer(url, service.probe),
            "desired_capacity": group["DesiredCapacity"],
            "instances": instances,
            "versions": dict(Counter(item["version"] for item in instances)),
            "revoked": revoke.notes(stack, name, (item["ami"] for item in instances)),
            **_releases(stack, name),
        }
    except (ConfigError, ClientError, BotoCoreError) as error:
        return {"error": str(error)}


def _address(stack: Stack, group: dict[str, Any]) -> str:
    """Return the address of the group's load balancer; empty while it has none."""
    elbv2 = stack.cloud.client("elbv2")
    target_groups = elbv2.describe_target_groups(TargetGroupArns=group["TargetGroupARNs"])["TargetGroups"]
    arns = target_groups[0]["LoadBalancerArns"]
    if not arns:
        return ""  # It is being provisioned. For no ARNs, AWS would describe all load balancers.
    balancers = elbv2.describe_load_balancers(LoadBalancerArns=arns)["LoadBalancers"]
    return str(balancers[0]["DNSName"])


def _instances(stack: Stack, group: dict[str, Any]) -> list[dict[str, str]]:
    ids = [item["InstanceId"] for item in group["Instances"]]
    if not ids:
        return []
    described = stack.cloud.client("ec2").describe_instances(InstanceIds=ids)["Reservations"]
    targets = stack.cloud.client("elbv2").describe_target_health(TargetGroupArn=group["TargetGroupARNs"][0])
    health = {item["Target"]["Id"]: item["TargetHealth"]["State"] for item in targets["TargetHealthDescriptions"]}
    return [
        {
            "instance": item["InstanceId"],
            "state": item["State"]["Name"],
            "health": health.get(item["InstanceId"], "unused"),
            "version": tags.read(item).get(tags.VERSION, ""),
            "ami": item["ImageId"],
        }
        for reservation in described
        for item in reservation["Instances"]
    ]


def answer(url: str, probe: config.Probe) -> str:
    """Return the status that the service answers to the first HTTP check of its probe, and a line of the answer."""
    if not probe.http:
        return "not requested: its probe has no HTTP check"
    path = probe.http[0].path
    try:
        with requests.get(url.rstrip("/") + path, timeout=5, allow_redirects=False, stream=True) as response:
            body = next(response.iter_content(ANSWER_BYTES), b"").decode(errors="replace")
    except requests.RequestException as error:
        return f"no answer to GET {path} ({type(error).__name__})"
    return f"HTTP {response.status_code} to GET {path}: {_summary(body) or '(empty)'}"


def _summary(body: str) -> str:
    """Return a page's title, the version or status in a JSON object, or the beginning of any other text."""
    text = body.lstrip()
    if text.startswith("<"):
        title = _TITLE.search(text)
        text = html.unescape(title[1]) if title else "(a page without a title)"
    elif text.startswith("{"):
        fields = dict(_FIELD.findall(text))
        text = next((f"{name} {fields[name]}" for name in ("version", "status") if name in fields), "(JSON)")
    # The text comes from the network: a control character could move the cursor or change the terminal's state.
    return " ".join("".join(one if one.isprintable() else " " for one in text).split())[:ANSWER_LENGTH]


def _parameter(stack: Stack, name: str) -> str | None:
    ssm = stack.cloud.client("ssm")
    found = ssm.get_parameters(Names=[name])["Parameters"]
    return str(found[0]["Value"]) if found else None


def _releases(stack: Stack, service: str) -> dict[str, Any]:
    """Return the channels' images and releases, the current base, the newest record, the lease's holder."""
    s3, bucket = stack.cloud.client("s3"), config.load_environment(ENVIRONMENT).bucket
    images = {name: _parameter(stack, parameter_name(service_name(service), name)) for name in (CURRENT, PREVIOUS)}
    ids: dict[str, str | None] = dict.fromkeys(images)
    newest: ReleaseRecord | None = None
    base: Standing | None = None
    for record in release.records(s3, bucket, service):
        newest = newest or record
        for name, image in images.items():
            if record.is_successful and record.ami_id == image and not ids[name]:
                ids[name] = record.release_id
                base = Bases(stack).standing(record) if name == CURRENT else base
        if all(ids[name] or not image for name, image in images.items()):
            break
    now = lease.read(s3, bucket, service)
    return {
        "current": images[CURRENT],
        "base": base.facts | {"text": base.text} if base else None,
        "current_release": ids[CURRENT],
        "previous_release": ids[PREVIOUS],
        "last_release": newest.model_dump(mode="json") if newest else None,
        "lease": now.holder if now is not None and now.is_open(dt.datetime.now(dt.UTC)) else None,
    }


def _base_line(base: dict[str, Any] | None) -> str:
    return f"{base['base_ami']}  {base['text']}" if base else "not known"


def _run_line(record: dict[str, Any] | None) -> str:
    if record is None:
        return "none"
    why = f": {record['reason']} at {record['stage'] or 'no stage'}" if record["reason"] else ""
    return f"{record['release_id']}  {record['kind']} {record['outcome']}{why}"
