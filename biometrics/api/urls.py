"""Addresses of this app under ``/api/v1/``."""

from django.urls import URLPattern, path

from biometrics.api import enrolment, liveness, rights, watchlist

urlpatterns: list[URLPattern] = [
    path("people", enrolment.People.as_view(), name="api-people"),
    path("people/<uuid:person_id>", enrolment.OnePerson.as_view(), name="api-person"),
    path("people/<uuid:person_id>/enrolment", enrolment.Enrolment.as_view(), name="api-person-enrolment"),
    path(
        "people/<uuid:person_id>/consent/withdraw",
        enrolment.ConsentWithdrawal.as_view(),
        name="api-person-consent-withdraw",
    ),
    path("people/<uuid:person_id>/challenge", liveness.Challenge.as_view(), name="api-person-challenge"),
    path("watchlist", watchlist.Watchlist.as_view(), name="api-watchlist"),
    path("watchlist/leads", watchlist.Leads.as_view(), name="api-watchlist-leads"),
    path("watchlist/leads/<uuid:lead_id>/decide", watchlist.Decide.as_view(), name="api-watchlist-decide"),
    path("watchlist/<uuid:entry_id>/confirm", watchlist.Confirm.as_view(), name="api-watchlist-confirm"),
    path("watchlist/<uuid:entry_id>/remove", watchlist.Remove.as_view(), name="api-watchlist-remove"),
    path("groups/<uuid:group_id>/identify", watchlist.Identify.as_view(), name="api-group-identify"),
    path("people/<uuid:person_id>/erasure", rights.Erasure.as_view(), name="api-person-erasure"),
    path("people/<uuid:person_id>/export", rights.Export.as_view(), name="api-person-export"),
    path("people/<uuid:person_id>/evidence/<uuid:evidence_id>/look", rights.Look.as_view(), name="api-evidence-look"),
    path("retention", rights.Retention.as_view(), name="api-retention"),
]
