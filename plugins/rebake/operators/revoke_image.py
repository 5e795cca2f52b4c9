"""The stage `revoke_image`: mark an image and all that was baked on it, or undo that; report who runs one."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from airflow.providers.amazon.aws.operators.base_aws import AwsBaseOperator
from airflow.providers.amazon.aws.utils.mixins import aws_template_fields
from airflow.sdk import Context

from rebake import tags
from rebake.estate import revocation
from rebake.estate.inventory import Estate
from rebake.hooks.estate import EstateHook
from rebake.hooks.releases import ReleasesHook
from rebake.hooks.revocation import RevocationHook
from rebake.image.channels import CURRENT
from rebake.stages.connection import EnvironmentConnection
from rebake.stages.rendered import as_bool
from rebake.stages.tooling import reachable


class RevokeImageOperator(EnvironmentConnection, AwsBaseOperator[RevocationHook]):
    """Revoke an image, or undo its revocation; return what changed and who runs what is revoked.

    Safe to repeat: each try derives anew what is to be marked, and writes only what differs. No instance is touched.

    Args:
        ami: id of an image of ours (templated).
        reason: why; at most 256 characters (templated).
        undo: whether to undo the revocation (templated; a boolean or its name).
    """

    aws_hook_class = RevocationHook
    template_fields: Sequence[str] = aws_template_fields("ami", "reason", "undo")

    def __init__(self, *, ami: str, reason: str = "", undo: bool | str = False, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.ami = ami
        self.reason = reason
        self.undo = undo

    def execute(self, context: Context) -> dict[str, Any]:
        """Return what `rebake.estate.revocation.lines` takes.

        Raises:
            ConfigError: the id is no image's, the reason is missing or too long, or `undo` is no boolean.
            ImageError: the image is not ours, or only what it was baked on is revoked.
        """
        undo = as_bool(self.undo, "undo")
        ami_id, reason = revocation.checked(self.ami, self.reason, undo=undo)
        with reachable(self.hook):
            estate = EstateHook(**self.connection).read()
            images = {image.id: image.tags for image in estate.images if tags.KIND in image.tags}
            if undo:
                changes = revocation.after_undoing(images, ami_id)
            else:
                changes = revocation.after_revoking(images, ami_id, reason, datetime.now(UTC))
            self.hook.write(changes)
        revoked = revocation.marks(revocation.applied(images, changes))
        summary = {
            "ami_id": ami_id,
            "undo": undo,
            "mark": revoked[ami_id].message_for(ami_id) if ami_id in revoked else "",
            "marked": sorted(one for one, mark in changes.items() if mark is not None),
            "lifted": sorted(one for one, mark in changes.items() if mark is None),
            "services": self._services(estate, revoked),
            "bases": sorted(
                one.name for one in estate.channels if one.channel == CURRENT and _is_base(one.ami_id, images, revoked)
            ),
        }
        self.log.info("%s", "\n".join(revocation.lines(summary)))
        return summary

    def _services(self, estate: Estate, revoked: dict[str, revocation.Mark]) -> dict[str, Any]:
        """Return each service that runs a revoked image, with those images and what is safe for it."""
        safe = revocation.launchable({image.id: image.state for image in estate.images}, revoked)
        found = revocation.services_on(revoked, revocation.running(estate, self.environment.name))
        hook = ReleasesHook(**self.connection)
        return {
            service: {
                "images": images,
                "advice": revocation.advice(
                    service,
                    revocation.nearest_safe(hook.records(self.environment.bucket, service), safe),
                ),
            }
            for service, images in found.items()
        }


def _is_base(ami_id: str, images: revocation.ImageTags, revoked: dict[str, revocation.Mark]) -> bool:
    return ami_id in revoked and images[ami_id].get(tags.KIND) == tags.KIND_BASE_IMAGE
