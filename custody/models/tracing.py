"""Who looked at a person's trace, and when. It changes nothing and is never changed."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from biometrics.models import Person


class PersonTraced(models.Model):
    """One look at the trace of a person."""

    class Way(models.TextChoices):
        PAGE = "page", _("On a page")
        API = "api", _("Through the API")
        COMMAND = "command", _("On the command line")

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="traced", db_index=False)
    traced_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    way = models.CharField(max_length=8, choices=Way.choices)
    traced_at = models.DateTimeField(default=timezone.now)

    class Meta:
        ordering = ["-traced_at"]
        constraints = [
            models.CheckConstraint(condition=models.Q(way__in=["page", "api", "command"]), name="traced_by_a_known_way")
        ]
        indexes = [models.Index(fields=["person", "-traced_at"], name="traced_newest_of_person")]

    def __str__(self) -> str:
        return f"trace of {self.person_id.urn}"
