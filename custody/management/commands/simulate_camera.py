"""Play a zone's camera: post photos to a running server as its frames, one after the other."""

import time
import urllib.error
import urllib.request
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

from django.core.management.base import BaseCommand, CommandError
from django.utils import timezone

from custody.models import Camera
from custody.zones import renew_camera_token

TIMEOUT_S = 30


class Command(BaseCommand):
    help = (
        "Post photos to a running server as the frames of a camera. Without --token the camera is given a new one, so "
        "that a real camera of this name is turned away from then on."
    )

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument(
            "photos", nargs="+", type=Path, help="JPEG, PNG or WebP, in the order in which they are shown"
        )
        parser.add_argument("--camera", required=True, help="the camera's name")
        parser.add_argument("--token", default="", help="its token")
        parser.add_argument("--url", default="http://127.0.0.1:8000", help="where the server listens")
        parser.add_argument("--every", type=float, default=1.0, help="seconds between two frames")

    def handle(self, *args: Any, **options: Any) -> None:
        if not options["url"].startswith(("http://", "https://")):
            raise CommandError(f"--url {options['url']!r} is no http:// or https:// address.")
        camera = Camera.objects.filter(name=options["camera"]).first()
        if camera is None:
            known = ", ".join(Camera.objects.values_list("name", flat=True)[:20]) or "none"
            raise CommandError(f"There is no camera {options['camera']!r}. Known: {known}.")
        missing = [str(photo) for photo in options["photos"] if not photo.is_file()]
        if missing:
            raise CommandError(f"No such photo: {', '.join(missing)}.")
        token = options["token"] or renew_camera_token(camera=camera)
        address = f"{options['url'].rstrip('/')}/api/v1/cameras/{camera.pk}/frames"
        for number, photo in enumerate(options["photos"]):
            if number:
                time.sleep(max(0.0, options["every"]))
            self.stdout.write(f"{photo.name}: {_post(address, token, photo.read_bytes())}")


def _post(address: str, token: str, frame: bytes) -> str:
    request = urllib.request.Request(  # noqa: S310 - the scheme is checked in handle()
        address,
        data=frame,
        method="POST",
        headers={
            "Authorization": f"Bearer {token}",
            "Content-Type": "application/octet-stream",
            "X-Captured-At": timezone.now().isoformat(),
        },
    )
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT_S) as response:  # noqa: S310
            return str(response.read(4_000).decode("utf-8", "replace"))
    except urllib.error.HTTPError as error:
        with error:
            return f"{error.code} {error.read(2_000).decode('utf-8', 'replace')}"
    except (urllib.error.URLError, TimeoutError) as error:
        raise CommandError(f"No server answers at {address}: {error}. Start it with make run.") from error
