"""The states of an image after CreateImage: deprecated, disabled, shared; and who sees it then."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar

from moto.core.utils import utcnow
from moto.ec2.exceptions import InvalidAMIIdError, OperationNotPermitted, UnvailableAMIIdError

from localcloud.ec2 import exceptions

if TYPE_CHECKING:
    from localcloud.cloud import Cloud
    from localcloud.ec2.images import LocalAmi


class ImageStates:
    """A part of the EC2 backend; `amis`, `deleted_amis` and `account_id` are moto's."""

    cloud: ClassVar[Cloud]
    region_name: str
    amis: dict[str, LocalAmi]
    deleted_amis: list[str]
    account_id: str
    image_block_public_access = "block-new-sharing"
    """AWS's default for accounts without public images."""

    def disable_image(self, ami_id: str) -> None:
        """Forbid launches of an image, and end its sharing (DisableImage)."""
        image = self.registered_image(ami_id)
        if image.state not in ("available", "disabled"):
            raise exceptions.image_unavailable(ami_id)
        image.state = "disabled"
        image.launch_permissions.clear()

    def enable_image(self, ami_id: str) -> None:
        """Allow launches of a disabled image again; sharing is not restored (EnableImage)."""
        image = self.registered_image(ami_id)
        if image.state == "disabled":
            image.state = "available"

    def modify_image_attribute(
        self, ami_id: str, launch_permissions_to_add: list[Any], launch_permissions_to_remove: list[Any]
    ) -> None:
        """Share an image, or end that (ModifyImageAttribute, launchPermission)."""
        if launch_permissions_to_add and self.registered_image(ami_id).state != "available":
            raise exceptions.image_unavailable(ami_id)
        if {"Group": "all"} in launch_permissions_to_add and self.image_block_public_access != "unblocked":
            raise OperationNotPermitted(
                "You can’t publicly share this image because block public access for AMIs is enabled for this "  # noqa: RUF001 # AWS's own apostrophe
                "account. To publicly share the image, you must call the DisableImageBlockPublicAccess API."
            )
        super().modify_image_attribute(  # type: ignore[misc] # moto's backend comes after
            ami_id, launch_permissions_to_add, launch_permissions_to_remove
        )

    def seen(self, images: list[Any], *, deprecated: bool, disabled: bool) -> list[Any]:
        """Return those of the images that DescribeImages shows: disabled and deprecated ones only if requested.

        Owners see what they deprecated in any case, and nobody else ever sees what they disabled.
        """
        shown = []
        for image in images:
            owned = image.owner_id == self.account_id
            passed = image.deprecated_at and image.deprecated_at <= utcnow()
            if (image.state != "disabled" or (disabled and owned)) and (deprecated or owned or not passed):
                shown.append(image)
        return shown

    def shared_images(self) -> list[LocalAmi]:
        """Return the images of other accounts in this region that this one may launch."""
        return [
            self._as_seen_here(image)
            for backend in self._other_accounts()
            for image in backend.amis.values()
            if self._may_launch(image)
        ]

    def launchable_image(self, ami_id: str) -> LocalAmi | None:
        """Return an image of this account, or one that is shared with it, or None."""
        if ami_id in self.amis:
            return self.amis[ami_id]
        found = (backend.amis[ami_id] for backend in self._other_accounts() if ami_id in backend.amis)
        return next((self._as_seen_here(image) for image in found if self._may_launch(image)), None)

    def _other_accounts(self) -> list[Any]:
        every = self.cloud.backends("ec2")
        return [each for each in every if each.region_name == self.region_name and each.account_id != self.account_id]

    def _may_launch(self, image: LocalAmi) -> bool:
        # The seed image is in every account, and owned by another one.
        ours = image.owner_id == image.ec2_backend.account_id
        return ours and (
            {"Group": "all"} in image.launch_permissions or {"UserId": self.account_id} in image.launch_permissions
        )

    def _as_seen_here(self, image: LocalAmi) -> LocalAmi:
        """Return the image with this account's tags: nobody sees those of another account."""
        seen = copy.copy(image)
        seen.ec2_backend = self
        return seen

    def registered_image(self, ami_id: str) -> LocalAmi:
        """Return an image that was not deregistered."""
        if ami_id in self.deleted_amis:
            raise UnvailableAMIIdError(ami_id)
        if ami_id not in self.amis:
            raise InvalidAMIIdError(ami_id)
        return self.amis[ami_id]
