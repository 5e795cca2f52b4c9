"""Revocations in the tags of images."""

from collections import defaultdict
from collections.abc import Iterable, Iterator

from rebake import tags
from rebake.estate import revocation
from rebake.estate.inventory import Image
from rebake.exceptions import ImageError
from rebake.hooks.image import ImageHook
from rebake.hooks.limits import TAGGED_RESOURCES, batches
from rebake.release.record import ReleaseRecord


class RevocationHook(ImageHook):
    """Thick wrapper around `boto3.client("ec2")` for the marks of images that may not be released."""

    def mark_of(self, ami_id: str) -> revocation.Mark | None:
        """Return why an image may not be released; none if it may (EC2, DescribeImages, once for each below it)."""
        return revocation.marks({image.id: image.tags for image in self._lineage(ami_id)}).get(ami_id)

    def _lineage(self, ami_id: str) -> Iterator[Image]:
        seen: set[str] = set()
        while ami_id and ami_id not in seen:
            seen.add(ami_id)
            try:
                image = self.describe(ami_id)
            except ImageError:
                return
            yield image
            ami_id = image.tags.get(tags.BASE_AMI, "")

    def write(self, changes: revocation.Changes) -> None:
        """Set and lift marks (EC2, CreateTags and DeleteTags). Safe to repeat."""
        alike: dict[tuple[tuple[str, str], ...], list[str]] = defaultdict(list)
        for ami_id, mark in changes.items():
            alike[tuple(mark.labels(ami_id).items()) if mark else ()].append(ami_id)
        for labels, ami_ids in alike.items():
            lifted = [{"Key": key} for key in revocation.TAGS if key not in dict(labels)]
            for batch in batches(ami_ids, TAGGED_RESOURCES):
                if labels:
                    self.ec2.create_tags(Resources=batch, Tags=[{"Key": key, "Value": value} for key, value in labels])
                if lifted:
                    self.ec2.delete_tags(Resources=batch, Tags=lifted)  # type: ignore[arg-type]

    def launchable(self) -> set[str]:
        """Return the account's images that are available and not revoked (EC2, DescribeImages)."""
        images = self.own()
        revoked = revocation.marks({image.id: image.tags for image in images})
        return revocation.launchable({image.id: image.state for image in images}, revoked)

    def safe_release(self, records: Iterable[ReleaseRecord]) -> ReleaseRecord | None:
        """Return the nearest safe release among a service's records, newest first (EC2, DescribeImages)."""
        return revocation.nearest_safe(records, self.launchable())
