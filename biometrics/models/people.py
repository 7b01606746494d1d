"""The people, each with a key of their own under which everything about them is sealed."""

import uuid

from django.conf import settings
from django.db import models
from django.utils import timezone
from django.utils.translation import gettext_lazy as _


class PersonKind(models.TextChoices):
    OPERATOR = "operator", _("Operator")
    DRIVER = "driver", _("Driver")
    WAREHOUSE = "warehouse", _("Warehouse staff")
    OFFICER = "officer", _("Officer")
    REPRESENTATIVE = "representative", _("Representative")
    WATCHLISTED = "watchlisted", _("On the watchlist")
    UNKNOWN = "unknown", _("Seen by a camera, not known")
    TRAVELLER = "traveller", _("Traveller at a border crossing")


# Records without a name: nobody was registered, and none of them can hold custody.
NEVER_REGISTERED = (PersonKind.WATCHLISTED, PersonKind.UNKNOWN, PersonKind.TRAVELLER)


class Person(models.Model):
    """Somebody who may hold custody. The name is sealed evidence: :func:`biometrics.people.display_name` opens it."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    kind = models.CharField(max_length=16, choices=PersonKind.choices)
    user = models.OneToOneField(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="person"
    )
    registered_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    registered_at = models.DateTimeField(default=timezone.now)
    exempt = models.BooleanField(
        default=False, help_text=_("Exempt from face comparison by law: photos are kept for hours, never compared.")
    )
    erased_at = models.DateTimeField(null=True, blank=True)

    class Meta:
        ordering = ["registered_at"]
        verbose_name_plural = "people"
        constraints = [
            models.CheckConstraint(condition=models.Q(kind__in=PersonKind.values), name="person_kind_is_known"),
        ]

    def __str__(self) -> str:
        return self.id.urn


class PersonKey(models.Model):
    """A person's own 256-bit key, wrapped by the master key. Without this row nothing of theirs can be opened."""

    person = models.OneToOneField(Person, primary_key=True, on_delete=models.PROTECT, related_name="key")
    master_key_id = models.CharField(max_length=16)
    nonce = models.BinaryField(max_length=12)
    # 48 bytes where the master key is at hand; a key service's own form may be longer.
    wrapped = models.BinaryField(max_length=1024)
    made_at = models.DateTimeField(default=timezone.now)

    def __str__(self) -> str:
        return f"key of {self.person_id.urn}"
