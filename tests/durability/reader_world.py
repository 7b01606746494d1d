"""Make a site, a door and a reader with a credential; print the reader's id and its Authorization header as JSON."""

import base64
import json

import django

django.setup()

from shipments.places import create_read_point, create_reader, create_site  # noqa: E402
from shipments.reader_credentials import issue_credential  # noqa: E402

site = create_site(code="LRD", name="Laredo yard", gln="0614141123452")
door = create_read_point(site=site, name="Dock 1", direction="out", extension="dock1")
reader = create_reader(read_point=door, name="portal")
name, password = issue_credential(reader=reader)
pair = base64.b64encode(f"{name}:{password}".encode()).decode()
print(json.dumps({"reader": str(reader.pk), "authorization": f"Basic {pair}"}))  # noqa: T201
