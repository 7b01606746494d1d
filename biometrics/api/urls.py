"""Addresses of this app under ``/api/v1/``."""

from django.urls import URLPattern, path

from biometrics.api import duplicates, enrolment, groups, liveness, person, rights, watchlist

urlpatterns: list[URLPattern] = [
    path("people", enrolment.People.as_view(), name="api-people"),
    path("people/<uuid:person_id>", enrolment.OnePerson.as_view(), name="api-person"),
    path("people/<uuid:person_id>/enrolment", enrolment.Enrolment.as_view(), name="api-person-enrolment"),
    path(
        "people/<uuid:person_id>/consent/withdraw",
        enrolment.ConsentWithdrawal.as_view(),
        name="api-person-consent-withdraw",
    ),
    path("people/<uuid:person_id>/consent", person.Consents.as_view(), name="api-person-consent"),
    path("people/<uuid:person_id>/pin", person.NewPin.as_view(), name="api-person-pin"),
    path("people/<uuid:person_id>/badge", person.NewBadge.as_view(), name="api-person-badge"),
    path("people/<uuid:person_id>/verifications", person.Verifications.as_view(), name="api-person-verifications"),
    path("people/<uuid:person_id>/holds", person.Holds.as_view(), name="api-person-holds"),
    path("people/<uuid:person_id>/holds/<uuid:hold_id>/lift", person.Lift.as_view(), name="api-person-hold-lift"),
    path("duplicates", duplicates.Duplicates.as_view(), name="api-duplicates"),
    path("duplicates/<uuid:review_id>/decide", duplicates.DecideDuplicate.as_view(), name="api-duplicate-decide"),
    path("people/<uuid:person_id>/challenge", liveness.Challenge.as_view(), name="api-person-challenge"),
    path("watchlist", watchlist.Watchlist.as_view(), name="api-watchlist"),
    path("watchlist/leads", watchlist.Leads.as_view(), name="api-watchlist-leads"),
    path("watchlist/leads/<uuid:lead_id>/decide", watchlist.Decide.as_view(), name="api-watchlist-decide"),
    path("watchlist/<uuid:entry_id>/confirm", watchlist.Confirm.as_view(), name="api-watchlist-confirm"),
    path("watchlist/<uuid:entry_id>/remove", watchlist.Remove.as_view(), name="api-watchlist-remove"),
    path("groups", groups.Groups.as_view(), name="api-groups"),
    path("groups/<uuid:group_id>", groups.Group.as_view(), name="api-group"),
    path("groups/<uuid:group_id>/members/<uuid:person_id>", groups.Member.as_view(), name="api-group-member"),
    path("groups/<uuid:group_id>/identify", watchlist.Identify.as_view(), name="api-group-identify"),
    path("people/<uuid:person_id>/erasure", rights.Erasure.as_view(), name="api-person-erasure"),
    path("people/<uuid:person_id>/export", rights.Export.as_view(), name="api-person-export"),
    path("people/<uuid:person_id>/evidence/<uuid:evidence_id>/look", rights.Look.as_view(), name="api-evidence-look"),
    path("retention", rights.Retention.as_view(), name="api-retention"),
]
