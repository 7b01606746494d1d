"""Where goods are: sites under their GLN, and the doors and gates where tags are read."""

import uuid

from django.db import models
from django.utils.translation import gettext_lazy as _


class Site(models.Model):
    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    code = models.CharField(max_length=16, unique=True)
    name = models.CharField(max_length=120)
    gln = models.CharField(max_length=13, unique=True)
    company_prefix_length = models.PositiveSmallIntegerField()

    class Meta:
        ordering = ["code"]
        constraints = [
            models.CheckConstraint(condition=~models.Q(code=""), name="site_has_a_code"),
            models.CheckConstraint(
                condition=models.Q(company_prefix_length__gte=6, company_prefix_length__lte=12),
                name="site_prefix_length_6_to_12",
            ),
        ]

    def __str__(self) -> str:
        return f"{self.code} {self.name}"


class Direction(models.TextChoices):
    IN = "in", _("In")
    OUT = "out", _("Out")
    THROUGH = "through", _("Through")


class ReadPoint(models.Model):
    """A door, a gate or a conveyor where tags are read, named by its SGLN."""

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    site = models.ForeignKey(Site, on_delete=models.PROTECT, related_name="read_points")
    name = models.CharField(max_length=120)
    sgln = models.CharField(max_length=100, unique=True)
    direction = models.CharField(max_length=8, choices=Direction.choices)

    class Meta:
        ordering = ["site", "name"]
        constraints = [
            models.UniqueConstraint(fields=["site", "name"], name="read_point_name_once_per_site"),
            models.CheckConstraint(
                condition=models.Q(direction__in=Direction.values), name="read_point_direction_is_known"
            ),
        ]

    def __str__(self) -> str:
        return f"{self.site.code} {self.name}"
