"""A Docker engine of the tests' own."""

from __future__ import annotations

import http.client
import json
import os
import re
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any, Self

from include.sandbox.local_airflow import PROJECT

IMAGES = PROJECT / "tests/e2e/docker/images"
#: Debian's packages for all images that stand for those of a registry.
_PACKAGES = (
    "bash,busybox,ca-certificates,curl,dumb-init,postgresql,prometheus,python3,python3-venv,redis-server"
)


class Engine:
    """`dockerd` with everything it keeps in one directory. Needs root."""

    def __init__(self, directory: Path) -> None:
        """:param directory: an empty one."""
        self._directory = directory
        self._socket = directory / "docker.sock"
        self.environment = {**os.environ, "DOCKER_HOST": f"unix://{self._socket}"}

    def __enter__(self) -> Self:
        with (self._directory / "dockerd.log").open("wb") as log:
            self._daemon = subprocess.Popen(
                [
                    "dockerd",
                    f"--host=unix://{self._socket}",
                    f"--data-root={self._directory / 'data'}",
                    f"--exec-root={self._directory / 'run'}",
                    f"--pidfile={self._directory / 'dockerd.pid'}",
                ],
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + 60
        while not self._answers():
            assert self._daemon.poll() is None, (self._directory / "dockerd.log").read_text()
            assert time.monotonic() < deadline, "dockerd does not answer"
            time.sleep(0.2)
        return self

    def __exit__(self, *_: object) -> None:
        self._daemon.terminate()
        self._daemon.wait(120)
        # Python would take minutes.
        run(["rm", "-rf", self._directory / "data"])

    def _answers(self) -> bool:
        try:
            self.get("/_ping")
        except OSError:
            return False
        return True

    def get(self, path: str) -> Any:
        """What the engine's API answers; None for what is not there or no JSON."""
        connection = http.client.HTTPConnection("docker")
        connection.sock = socket.socket(socket.AF_UNIX)
        connection.sock.settimeout(60)
        connection.sock.connect(str(self._socket))
        connection.request("GET", path)
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        return json.loads(text) if answer.status == 200 and text[:1] in (b"{", b"[") else None

    def docker(self, *arguments: str | Path, **how: Any) -> str:
        """Run the command docker; returns its output."""
        return run(["docker", *arguments], env=self.environment, **how)

    def provide(self, images: list[str]) -> list[str]:
        """Pull images, or make those that no registry gives from Debian's packages; returns what was made."""
        made = []
        for image in images:
            pull = ["docker", "pull", "--quiet", image]
            if subprocess.run(pull, env=self.environment, capture_output=True, check=False).returncode:
                if not made:
                    self._make_debian()
                self._make(image)
                made.append(image)
        return made

    def _make_debian(self) -> None:
        root = self._directory / "debian.tar"
        run(
            [
                "mmdebstrap", "--variant=minbase", f"--include={_PACKAGES}",
                # Nobody needs this tree after a crash of the machine, nor what is left out of it.
                "--dpkgopt=force-unsafe-io", "--dpkgopt=path-exclude=/usr/share/man/*",
                "--dpkgopt=path-exclude=/usr/share/doc/*", "--dpkgopt=path-exclude=/usr/share/locale/*",
                "--dpkgopt=path-exclude=/usr/share/javascript/*",
                # A registry behind a proxy has this machine's certificates.
                "--customize-hook=copy-in /etc/ssl/certs/ca-certificates.crt /etc/ssl/certs",
                "bookworm", root,
            ]
        )  # fmt: skip
        self.docker("import", root, "debian-packages")
        root.unlink()

    def _make(self, image: str) -> None:
        name = re.sub(r"^.*/|:.*$", "", image)
        context = self._directory / "images" / name
        shutil.copytree(IMAGES / name, context)
        if name == "airflow":
            lock = (PROJECT / "requirements.lock").read_text()
            # Constraints have versions and markers; no extras, no hashes.
            versions = re.findall(r"(?m)^([\w.-]+)(?:\[.*?\])?(==[^\\\n]+)", lock)
            (context / "constraints.txt").write_text("\n".join(map("".join, versions)))
        self.docker("build", "--tag", image, context)


def run(command: list[str | Path], **how: Any) -> str:
    """A command's output. A failure's message has all that it printed."""
    done = subprocess.run(
        command, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, **how
    )
    assert done.returncode == 0, f"{command}: {done.stdout[-3000:]}{done.stderr[-3000:]}"
    return done.stdout
