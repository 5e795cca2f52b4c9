"""The operating system image that the embedded cloud's instances start from."""

import contextlib
import hashlib
import io
import subprocess
import tarfile
from pathlib import Path

from stack.console import step
from stack.engine import Engine
from stack.errors import StackError
from stack.layout import Layout


def reference(layout: Layout) -> str:
    """Return the image's name in the engine, with a digest of all that it is built from."""
    digest = hashlib.sha256((layout.project / "setup" / "versions.env").read_bytes())
    for path in _sources(layout):
        digest.update(f"\0{path.name}\0{path.stat().st_mode:o}\0".encode() + path.read_bytes())
    return f"localhost/rebake-os-{layout.own.clone_id}:{digest.hexdigest()[:12]}"


def ensure(layout: Layout, engine: Engine) -> str:
    """Return the name of the image in the engine; build it first if it is not there.

    Raises:
        StackError: it cannot be built; with the end of the builder's output.
    """
    image = reference(layout)
    with contextlib.closing(engine.client()) as client:
        if client.images(image):
            return image
        base = versions(layout)["OS_DOCKER_IMAGE"]
        made = subprocess.run([str(layout.project / "setup/rootfs.sh")], capture_output=True, text=True, check=False)
        if made.returncode:
            raise StackError(made.stderr.strip().removeprefix("error: "))
        if rootfs := made.stdout.strip():
            step("importing Debian into the container engine")
            base = f"localhost/rebake-rootfs-{layout.own.clone_id}:{Path(rootfs).stem}"
            # Podman overlooks a tag that is given by itself.
            client.import_image_from_file(rootfs, repository=base)
        step("building the instances' operating system image")
        output = list(
            client.build(
                fileobj=_context(layout),
                custom_context=True,
                buildargs={"ROOTFS": base},
                tag=image,
                rm=True,
                forcerm=True,
                decode=True,
            )
        )
        if not client.images(image):
            printed = "".join(str(entry.get("stream") or entry.get("error") or "") for entry in output)
            raise StackError(f"the operating system image could not be built:\n{printed[-2000:]}")
    return image


def remove(layout: Layout, engine: Engine) -> None:
    """Remove this clone's operating system images from the engine."""
    with contextlib.closing(engine.client()) as client:
        for kind in ("os", "rootfs"):
            for image in client.images(f"localhost/rebake-{kind}-{layout.own.clone_id}"):
                for tag in image["RepoTags"] or []:
                    client.remove_image(tag, force=True)


def versions(layout: Layout) -> dict[str, str]:
    """Return the variables of `setup/versions.env`."""
    lines = (layout.project / "setup" / "versions.env").read_text().splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def _sources(layout: Layout) -> list[Path]:
    return sorted(path for path in (layout.project / "localcloud" / "os-image").rglob("*") if path.is_file())


def _context(layout: Layout) -> io.BytesIO:
    packed = io.BytesIO()
    folder = layout.project / "localcloud" / "os-image"
    with tarfile.open(fileobj=packed, mode="w") as tar:
        for path in _sources(layout):
            # Engines expect the build file under this name.
            tar.add(path, "Dockerfile" if path.name == "Containerfile" else str(path.relative_to(folder)))
    packed.seek(0)
    return packed
