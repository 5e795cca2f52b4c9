"""The stage `record_base`: keep what a tested base image holds, what is new in it, and where it comes from."""

import json
from collections.abc import Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from typing import Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context
from pydantic import BaseModel

from rebake import config, tags
from rebake.base import base_record, sbom
from rebake.base.base_record import BaseRecord
from rebake.base.inspection import decode
from rebake.estate.inventory import Image
from rebake.hooks.bases import BasesHook
from rebake.hooks.image import ImageHook
from rebake.hooks.registry import RegistryHook
from rebake.image.channels import CURRENT, base_name
from rebake.operators.assert_base import BaseReport
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.tooling import reachable, run_tag


class RecordedBase(BaseModel):
    """Where a base image's record is, what belongs to it, and what is new in the image.

    Attributes:
        record: object key of the record.
        sbom: object key of the bill of materials.
        diff: object key of the difference from the base before.
        previous_ami: that base; none if there was none.
        difference: the content of `diff`.
    """

    record: str
    sbom: str
    diff: str
    previous_ami: str | None
    difference: dict[str, Any] | None


class RecordBaseOperator(EnvironmentConnection, AwsBaseOperator[BasesHook]):
    """Write the image's bill of materials, its difference from the base before, and its record.

    Return a `RecordedBase`. An existing record stays: an earlier try recorded the image, or the run that baked it.

    Args:
        ami_id: the image (templated).
        base: name of the family (templated).
        report: the test report, a `BaseReport` (templated).
    """

    aws_hook_class = BasesHook
    template_fields: Sequence[str] = aws_template_fields("ami_id", "base", "report")

    def __init__(self, *, ami_id: str, base: str, report: dict[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ami_id = ami_id
        self.base = base
        self.report = report

    def execute(self, context: Context) -> dict[str, Any]:
        """Return the object keys, a `RecordedBase`.

        Raises:
            ImageError: the image is gone, or the inspection is incomplete.
            ConfigError: the bucket does not exist.
        """
        bucket = self.environment.bucket
        with reachable(self.hook):
            image = ImageHook(**self.connection).describe(self.ami_id)
            kept = self.hook.read(bucket, base_record.key(self.base, image.created_at, self.ami_id))
            record = BaseRecord.model_validate_json(kept) if kept else self._record(context, image)
            difference = json.loads(self.hook.read(bucket, record.diff) or "null")
        if kept:
            self.log.info("%s was recorded before: s3://%s/%s", self.ami_id, bucket, record.key)
        for line in sbom.describe(difference) if difference else ():
            self.log.info("%s", line)
        return RecordedBase(
            record=record.key,
            sbom=record.sbom,
            diff=record.diff,
            previous_ami=record.previous_ami,
            difference=difference,
        ).model_dump(mode="json")

    def _record(self, context: Context, image: Image) -> BaseRecord:
        """Write it all, the record last: whoever finds it finds the rest."""
        bucket = self.environment.bucket
        report = BaseReport.model_validate(self.report)
        facts = decode(report.inspection)
        current = RegistryHook(**self.connection).read(base_name(self.base), CURRENT)
        previous = current.ami_id if current and current.ami_id != image.id else None
        bill = sbom.bill(self.base, image.id, image.created_at, config.load_base(self.base).package_manager, facts)
        previous_bill = self.hook.read(bucket, sbom.key(self.base, previous)) if previous else None
        difference = sbom.difference(image.id, bill, previous, previous_bill)
        record = BaseRecord(
            environment=self.environment.name,
            family=self.base,
            ami_id=image.id,
            image_name=image.name,
            fingerprint=image.tags.get(tags.FINGERPRINT, ""),
            template_version=image.tags.get(tags.TEMPLATE_VERSION, ""),
            source_image=image.tags.get(tags.BASE_AMI, ""),
            baked_at=image.created_at,
            recorded_at=datetime.now(tz=UTC).replace(microsecond=0),
            dag_run=run_tag(context),
            assertions=tuple(asdict(verdict) for verdict in report.assertions),
            packages=len(facts.packages),
            sbom=sbom.key(self.base, image.id),
            diff=sbom.diff_key(self.base, image.id),
            previous_ami=previous,
        )
        self.hook.write(bucket, record.sbom, bill, "application/vnd.cyclonedx+json")
        self.hook.write(bucket, record.diff, json.dumps(difference, indent=2) + "\n")
        self.hook.write(bucket, record.key, record.model_dump_json(indent=2) + "\n")
        self.log.info("%d packages are in s3://%s/%s", record.packages, bucket, record.sbom)
        return record
