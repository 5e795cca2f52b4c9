"""The sizes of the measured estates."""

from dataclasses import dataclass

ENVIRONMENT = "bench"
REGION = "eu-west-1"
BUCKET = "rebake-bench"


@dataclass(frozen=True)
class Size:
    """An estate, by its number of images, a multiple of 1,000; one of 10,000 has 300 services and 3,000 instances."""

    images: int
    instances_of_a_service: int = 10
    images_of_a_base: int = 10

    @property
    def services(self) -> list[str]:
        """Names of services."""
        return [f"service-{number:03}" for number in range(self.images * 3 // 100)]

    @property
    def families(self) -> list[str]:
        """Names of base families."""
        return [f"base-{number:02}" for number in range(self.images // 1_000)]

    @property
    def images_of_a_service(self) -> int:
        """The number of images for each service, after those of the bases."""
        return (self.images - len(self.families) * self.images_of_a_base) // len(self.services)

    @property
    def instances(self) -> int:
        """The number of instances."""
        return len(self.services) * self.instances_of_a_service
