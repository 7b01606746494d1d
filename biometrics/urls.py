from django.urls import path

from biometrics.views import people, person, registering

urlpatterns = [
    path("people/", people.people_list, name="people"),
    path("people/new/", registering.new, name="person_new"),
    path("people/<uuid:person_id>/", person.person, name="person"),
    path("people/<uuid:person_id>/enrol/", person.enrol, name="person_enrol"),
    path("people/<uuid:person_id>/pin/", person.pin, name="person_pin"),
    path("people/<uuid:person_id>/badge/", person.badge, name="person_badge"),
]
