"""
Who may take what: authorisations of a person or of an employer, and who works for whom.

A row is an index into the ledger: what it says stands in its entry, and it is believed only as far as that agrees.
Nothing here is edited. An authorisation is withdrawn and granted anew; an employment ends.
"""

import uuid

from django.conf import settings
from django.db import models
from django.utils.translation import gettext_lazy as _

from biometrics.models import Evidence, Person
from custody.models.hours import Hours
from ledger.models import Statement
from shipments.models import Party, Site


class Licence(models.TextChoices):
    DRIVING = "driving_licence", _("Driving licence")
    BADGE = "badge", _("Badge")
    CARRIER = "carrier_permit", _("Carrier’s permit")
    DANGEROUS_GOODS = "dangerous_goods", _("Certificate for dangerous goods")
    CUSTOMS = "customs_licence", _("Customs licence")


class WithdrawalReason(models.TextChoices):
    LEFT = "left", _("No longer works there, or left")
    LICENCE = "licence_lost", _("Licence or badge lost, or taken away")
    SUSPICION = "suspicion", _("Suspected of misuse")
    MISTAKE = "mistake", _("Granted by mistake")
    REPLACED = "replaced", _("Replaced by another one")
    UNNEEDED = "not_needed", _("Not needed any more")


class Employment(models.Model):
    """
    That a person works for an organisation, from when it was recorded, or from ``since`` on where that is later.

    ``until`` was known in advance; ``ended_at`` is when it was ended.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    attempt = models.UUIDField(unique=True)
    person = models.ForeignKey(Person, on_delete=models.PROTECT, related_name="employments")
    employer = models.ForeignKey(Party, on_delete=models.PROTECT, related_name="employments")
    since = models.DateField(null=True, blank=True)
    until = models.DateField(null=True, blank=True)
    recorded_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    recorded_at = models.DateTimeField()
    statement = models.OneToOneField(Statement, on_delete=models.PROTECT, related_name="+")
    ended_at = models.DateTimeField(null=True, blank=True)
    ended_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    ending = models.OneToOneField(Statement, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-recorded_at"]
        constraints = [
            models.UniqueConstraint(
                fields=["person", "employer"],
                condition=models.Q(ended_at__isnull=True),
                name="employment_once_at_a_time",
            ),
            models.CheckConstraint(
                condition=models.Q(until__isnull=True)
                | models.Q(since__isnull=True)
                | models.Q(until__gte=models.F("since")),
                name="employment_ends_behind_its_beginning",
            ),
            models.CheckConstraint(
                condition=models.Q(ended_at__isnull=True, ended_by__isnull=True, ending__isnull=True)
                | models.Q(ended_at__isnull=False, ended_by__isnull=False, ending__isnull=False),
                name="employment_ended_whole",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.person_id.urn} at {self.employer_id}"


class Authorisation(Hours):
    """
    What one person, or everybody who works for one employer, may take: what is left empty is not limited.

    ``hs`` are first digits of commodity codes. ``consignor`` and ``consignee`` are the ends of the route. Dates hold to
    the end of their day in ``time_zone``.
    """

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    attempt = models.UUIDField(unique=True)
    person = models.ForeignKey(Person, null=True, blank=True, on_delete=models.PROTECT, related_name="authorisations")
    employer = models.ForeignKey(Party, null=True, blank=True, on_delete=models.PROTECT, related_name="authorisations")
    hs = models.JSONField(default=list, blank=True)
    sites = models.ManyToManyField(Site, blank=True, related_name="+")
    consignor = models.ForeignKey(Party, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    consignee = models.ForeignKey(Party, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    valid_from = models.DateField()
    valid_until = models.DateField(null=True, blank=True)
    licence = models.CharField(max_length=16, choices=Licence.choices, blank=True)
    licence_until = models.DateField(null=True, blank=True)
    licence_number = models.OneToOneField(Evidence, null=True, blank=True, on_delete=models.PROTECT, related_name="+")
    granted_by = models.ForeignKey(settings.AUTH_USER_MODEL, on_delete=models.PROTECT, related_name="+")
    granted_at = models.DateTimeField()
    statement = models.OneToOneField(Statement, on_delete=models.PROTECT, related_name="+")
    withdrawn_at = models.DateTimeField(null=True, blank=True)
    withdrawn_by = models.ForeignKey(
        settings.AUTH_USER_MODEL, null=True, blank=True, on_delete=models.PROTECT, related_name="+"
    )
    withdrawn_for = models.CharField(max_length=16, choices=WithdrawalReason.choices, blank=True)
    withdrawal = models.OneToOneField(Statement, null=True, blank=True, on_delete=models.PROTECT, related_name="+")

    class Meta:
        ordering = ["-granted_at"]
        constraints = [
            *Hours.Meta.constraints,
            models.CheckConstraint(
                condition=models.Q(person__isnull=False, employer__isnull=True)
                | models.Q(person__isnull=True, employer__isnull=False, licence_number__isnull=True),
                name="authorisation_of_a_person_or_an_employer",
            ),
            models.CheckConstraint(
                condition=models.Q(valid_until__isnull=True) | models.Q(valid_until__gte=models.F("valid_from")),
                name="authorisation_ends_behind_its_beginning",
            ),
            models.CheckConstraint(
                condition=models.Q(licence="", licence_until__isnull=True, licence_number__isnull=True)
                | models.Q(licence__in=Licence.values, licence_until__isnull=False),
                name="authorisation_licence_has_an_end",
            ),
            models.CheckConstraint(
                condition=models.Q(
                    withdrawn_at__isnull=True, withdrawn_by__isnull=True, withdrawn_for="", withdrawal__isnull=True
                )
                | models.Q(
                    withdrawn_at__isnull=False,
                    withdrawn_by__isnull=False,
                    withdrawn_for__in=WithdrawalReason.values,
                    withdrawal__isnull=False,
                ),
                name="authorisation_withdrawn_whole",
            ),
        ]
        indexes = [models.Index(fields=["-granted_at"], name="authorisation_newest")]

    def __str__(self) -> str:
        return f"authorisation {self.id}"
