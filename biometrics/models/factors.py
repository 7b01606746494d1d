"""The other factor beside the face: a PIN or a badge."""

import uuid

from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from biometrics.models.people import Person


class Pin(models.Model):
    """A person's PIN as a slow hash, with the tries that keep it from being guessed."""

    person = models.OneToOneField(Person, primary_key=True, on_delete=models.PROTECT, related_name="pin")
    hash = models.CharField(max_length=128)
    tries = models.PositiveSmallIntegerField(default=0, help_text=_("Started since the last right one."))
    locked_until = models.DateTimeField(null=True, blank=True)
    set_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"PIN of {self.person_id.urn}"


class Badge(models.Model):
    """A printed badge: the SHA-256 of a code with 128 random bits. A new badge revokes the one before."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="badges")
    digest = models.CharField(max_length=64, unique=True)
    issued_at = models.DateTimeField(default=timezone.now)
    revoked_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["-issued_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["person"], condition=models.Q(revoked_at__isnull=True), name="badge_one_valid_per_person"
            ),
        ]

    def __str__(self) -> str:
        return f"badge of {self.person_id.urn}"
