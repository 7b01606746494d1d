"""Days and hours in which something is allowed, in a time zone's own wall time: of a zone, of an authorisation."""

from django.db import models

EVERY_DAY = 0b1111111


class Hours(models.Model):
    """
    ``days`` has a bit for each day of the week, Monday the lowest.

    Without hours the whole of those days counts; hours that end before they begin pass midnight.
    """

    days = models.PositiveSmallIntegerField(default=EVERY_DAY)
    opens_at = models.TimeField(null=True, blank=True)
    closes_at = models.TimeField(null=True, blank=True)
    time_zone = models.CharField(max_length=64, default="UTC")

    class Meta:
        abstract = True
        constraints = [
            models.CheckConstraint(
                condition=models.Q(opens_at__isnull=True, closes_at__isnull=True)
                | models.Q(opens_at__isnull=False, closes_at__isnull=False),
                name="%(class)s_hours_are_whole",
            ),
            models.CheckConstraint(
                condition=models.Q(days__gte=1, days__lte=EVERY_DAY), name="%(class)s_days_are_of_a_week"
            ),
        ]
