"""Reports on the estate, in the environment's bucket."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.amazon.aws.hooks.base_aws import AwsBaseHook

from rebake.estate.report import latest

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client

    from rebake.estate.report import Report


class ReportsHook(AwsBaseHook):
    """Thick wrapper around `boto3.client("s3")` for the reports of a bucket."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs["client_type"] = "s3"
        super().__init__(*args, **kwargs)

    @property
    def s3(self) -> S3Client:
        """The typed client."""
        client: S3Client = self.conn
        return client

    def write(self, bucket: str, report: Report) -> str:
        """Write a report as JSON and as a page, and return the JSON's object key (S3, PutObject).

        The page comes first: whoever finds the JSON finds the page too.
        """
        for ending, content_type, body in (
            ("html", "text/html; charset=utf-8", report.to_html()),
            ("json", "application/json", report.to_json()),
        ):
            self.s3.put_object(
                Bucket=bucket, Key=f"{report.key}.{ending}", Body=body.encode(), ContentType=content_type
            )
        return f"{report.key}.json"

    def latest(self, bucket: str, kind: str) -> dict[str, Any] | None:
        """Return the newest report of a kind; none if there is none, see `report.latest`."""
        return latest(self.s3, bucket, kind)
