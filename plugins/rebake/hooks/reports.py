"""Reports on the estate, in the environment's bucket."""

from typing import Any

from rebake import bucket as objects
from rebake.estate.report import Report, latest
from rebake.hooks.bucket import BucketHook


class ReportsHook(BucketHook):
    """Thick wrapper around `boto3.client("s3")` for the reports of a bucket."""

    def write(self, bucket: str, report: Report) -> str:
        """Write a report as JSON and as a page, and return the JSON's object key (S3, PutObject).

        The page comes first: whoever finds the JSON finds the page too.
        """
        objects.write(self.s3, bucket, f"{report.key}.html", report.to_html(), "text/html; charset=utf-8")
        objects.write(self.s3, bucket, f"{report.key}.json", report.to_json())
        return f"{report.key}.json"

    def latest(self, bucket: str, kind: str) -> dict[str, Any] | None:
        """Return the newest report of a kind; none if there is none, see `report.latest`."""
        return latest(self.s3, bucket, kind)
